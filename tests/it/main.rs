//! One binary for all integration tests: linking dominates on small machines.

mod cli;
mod pipeline;
