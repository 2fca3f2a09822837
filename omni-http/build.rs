//! Packs what is large and read by browsers alone, so that the program carries a third of it.

use std::{env, fs::File, io, path::PathBuf};

use flate2::{Compression, GzBuilder};

const REDOC: &str = "assets/redoc/redoc.standalone.js";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={REDOC}");
    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    let packed = File::create(out.join("redoc.standalone.js.gz"))?;
    let mut packed = GzBuilder::new().write(packed, Compression::best());
    io::copy(&mut File::open(REDOC)?, &mut packed)?;
    packed.finish().map(drop)
}
