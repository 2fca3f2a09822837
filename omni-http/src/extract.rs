//! Requests become values here: what is not right is told with the path of each field.

mod json;
mod node;
mod text;
pub(crate) mod tree;

pub(crate) use json::Json;
pub(crate) use node::Invalid;
pub(crate) use text::{Path, Query};
