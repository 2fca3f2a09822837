//! One binary for all integration tests: linking dominates on small machines.

mod pipeline;
