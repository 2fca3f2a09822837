//! Tool calls that come in pieces.

use serde::{Deserialize, de::IgnoredAny};
use uuid::Uuid;

use crate::llm::{Block, vendor::legal};

/// A piece of a call.
#[derive(Deserialize)]
pub(super) struct Piece {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionPiece>,
}

#[derive(Deserialize)]
struct FunctionPiece {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Debug)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Call {
    /// Whether a piece without an id that bears `name` begins another call. Some servers repeat the
    /// name in every piece.
    fn is_over(&self, name: &str) -> bool {
        let is_whole = || serde_json::from_str::<IgnoredAny>(&self.arguments).is_ok();
        !name.is_empty() && !self.name.is_empty() && (self.name != name || is_whole())
    }
}

/// The calls of one answer, in the order in which they began.
///
/// Pieces belong together by their index, which is a key and no position: a server may begin at 1.
/// Some give no index, or the same one to every call, and tell calls apart by the id; where there is
/// no id either, a name begins a call.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn add(&mut self, piece: Piece) {
        let id = piece.id.unwrap_or_default();
        let name = piece.function.as_ref().and_then(|function| function.name.as_deref()).unwrap_or_default();
        let known = self.calls.iter().rposition(|call| {
            (piece.index.is_none() || call.index == piece.index)
                && (id.is_empty() || call.id.is_empty() || call.id == id)
        });
        let known = known.filter(|&at| !id.is_empty() || !self.calls[at].is_over(name));
        let at = known.unwrap_or_else(|| {
            self.calls.push(Call {
                index: piece.index,
                id: String::new(),
                name: String::new(),
                arguments: String::new(),
            });
            self.calls.len() - 1
        });
        let call = &mut self.calls[at];
        if call.id.is_empty() {
            call.id = id;
        }
        let Some(function) = piece.function else { return };
        if call.name.is_empty() {
            call.name = function.name.unwrap_or_default();
        }
        call.arguments.push_str(&function.arguments.unwrap_or_default());
    }

    /// Bytes of all names and arguments.
    pub(super) fn len(&self) -> usize {
        self.calls.iter().map(|call| call.name.len() + call.arguments.len()).sum()
    }

    /// The calls as blocks. A call without an id gets one: its result must name it.
    pub(super) fn blocks(self) -> impl Iterator<Item = Block> {
        self.calls.into_iter().map(|call| {
            let id = if call.id.is_empty() { format!("call_{}", Uuid::new_v4().simple()) } else { call.id };
            Block::ToolUse { id, name: call.name, input: legal::arguments(&call.arguments) }
        })
    }
}
