//! `omni-bench`: omni as people run it, measured from outside. See `README.md` beside this file.

use std::process::ExitCode;

/// As the programs have it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    omni_benches::harness::main()
}
