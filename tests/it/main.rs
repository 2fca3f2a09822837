//! One binary for all integration tests: linking dominates on small machines.
#![cfg(test)]

mod cli;
mod pipeline;
mod vendor_ask;
mod vendor_fake;
