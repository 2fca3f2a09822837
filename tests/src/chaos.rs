//! Servers that misbehave as they are told, one over each transport, and one pipeline before them whose
//! asker and ledger are compared with what `tests/CHAOS.md` says.

pub mod child;
pub mod http;
pub mod stand;
pub mod table;
