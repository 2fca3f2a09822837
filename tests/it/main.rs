//! One binary for all integration tests: linking dominates on small machines.

#[cfg(test)]
mod vendor_fake;
