//! An exact sliding window in memory.
