//! The JSON of the HTTP door. Types of the core are none of it, save the one shared document,
//! [`omni_core::answer::json`].

mod admin;
mod audit;
mod chat;
mod confirmations;
mod elicitations;
mod error;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod feedback;
mod health;
mod moment;
mod results;
mod threads;
mod tools;
mod users;

#[cfg(feature = "dashboard")]
pub(crate) use admin::ToolFinding;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use admin::{AddUser, Approve, Disable, SetRole};
pub(crate) use admin::{
    AdminServer, AdminTool, AdminUser, ApproveTools, CreateKey, CreatedKey, Explain, Explanation, KeyEntry,
    ListAdminTools, ListKeys, ListLogs, ListPins, PageOfUsers, PinEntry, RefreshedServers, all_tools,
};
#[cfg(feature = "dashboard")]
pub(crate) use audit::CallLine;
pub(crate) use audit::{
    Format, LogDetail, LogList, LogQuery, LogWithCalls, MyLogQuery, MyStatsQuery, Stats, StatsQuery, within,
};
pub(crate) use chat::{AskRequest, AskResponse, ShortRequest, ShortResponse, StreamEvent};
pub(crate) use confirmations::{Confirmation, Confirmations, Decision, Viewer, Waiting};
pub(crate) use elicitations::{ElicitationAnswer, Question};
pub(crate) use error::{Detail, ErrorBody, FieldError, Place};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use feedback::FeedbackRequest;
pub(crate) use health::{
    Cache, CachedServer, Database, DatabaseStatus, Health, Invalidate, Invalidated, Live, Ready, Root, Server, Servers,
    ServersStatus, State,
};
#[cfg(feature = "dashboard")]
pub(crate) use moment::Moment;
pub(crate) use results::{KeptResults, ListResults, ReadResult, ResultForm, ResultPage};
pub(crate) use threads::{Thread, Threads};
pub(crate) use tools::{
    CallRequest, CallResponse, ForUser, ListServers, ListTools, OneHealth, ServerEntry, ServerList, ServerListData,
    ServerSummary, ServerTools, Tool, ToolList, ToolListData, UserTools, server_status, tools_of,
};
pub(crate) use users::{User, UserList};
