//! One page a file: what it asks the core, and nothing else. What is made of the answers is in `view`.

pub(super) mod approvals;
pub(super) mod ask;
pub(super) mod audit;
pub(super) mod keys;
pub(super) mod limits;
pub(super) mod overview;
pub(super) mod server;
pub(super) mod servers;
pub(super) mod settings;
pub(super) mod tool;
pub(super) mod user;
pub(super) mod users;
