//! A sink that writes JSON lines.
