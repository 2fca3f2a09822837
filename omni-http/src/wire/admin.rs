//! For administrators.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod changes;
mod keys;
mod pins;
mod policy;
mod servers;
mod users;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use changes::{AddUser, Approve, Disable, SetRole};
pub(crate) use keys::{CreateKey, CreatedKey, KeyEntry, ListKeys};
pub(crate) use pins::{ApproveTools, ListPins, PinEntry, ToolFinding};
pub(crate) use policy::{Explain, Explanation, ListLogs};
pub(crate) use servers::{AdminServer, AdminTool, ListAdminTools, RefreshedServers, all_tools};
pub(crate) use users::{AdminUser, PageOfUsers};
