//! Tool results: from the wire into capped parts, and from these to a model or a person.

use super::ToolOutput;
use crate::llm::ResultPart;

pub(super) fn for_model(_output: &ToolOutput) -> Vec<ResultPart> {
    Vec::new()
}

pub(super) fn for_person(_output: &ToolOutput) -> String {
    String::new()
}
