//! The JSON of the HTTP door. Types of the core are none of it, save the one shared document,
//! [`omni_core::answer::json`].

mod chat;
mod error;
mod health;

pub(crate) use chat::{AskRequest, AskResponse, ShortRequest, ShortResponse};
pub(crate) use error::{Detail, ErrorBody, FieldError, Place};
pub(crate) use health::{
    Cache, CachedServer, Database, DatabaseStatus, Health, Invalidate, Invalidated, Live, Ready, Root, Server, Servers,
    ServersStatus, State,
};
