//! The analytics server as people, clients and other servers meet it.

mod conformance;
mod demo;
mod feedback;
mod program;
mod questions;
mod seen;
