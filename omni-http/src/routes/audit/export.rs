//! The log in other forms than a page of JSON, read page by page while it is sent: it never is in
//! memory as a whole, and no database waits for a slow reader.

use std::{io, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, header},
    response::{IntoResponse as _, Response},
};
use futures::stream;
use omni_core::{
    Error,
    audit::{AuditAccess, AuditQuery, LogPage, export},
};
use tokio::time::timeout;

use super::{OWN_LOGS, line, refused};
use crate::error::ApiError;

/// Entries of a portion.
const PORTION: usize = 200;
/// How long reading a portion may take.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A table for spreadsheets, in which nothing is taken for a formula.
    Csv,
    /// A JSON document a line.
    Ndjson,
}

impl Form {
    fn headers(self) -> [(HeaderName, &'static str); 2] {
        let (kind, name) = match self {
            Self::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
            Self::Ndjson => ("application/x-ndjson", "attachment; filename=\"audit.ndjson\""),
        };
        [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)]
    }
}

/// What is left to send.
struct Rest {
    access: AuditAccess,
    query: AuditQuery,
    form: Form,
    /// What was read and not sent yet.
    page: Option<LogPage>,
    /// How many entries may still come.
    left: Option<usize>,
    is_first: bool,
}

/// All that a query finds, the newest first; its limit is how many of them at most.
///
/// # Errors
/// When the first portion cannot be read: nothing was sent then, so it can still be another status.
pub(super) async fn respond(access: AuditAccess, query: AuditQuery, form: Form) -> Result<Response, ApiError> {
    let mut rest = Rest { access, left: query.limit, query, form, page: None, is_first: true };
    rest.page = Some(rest.read().await?);
    let portions =
        stream::try_unfold(rest, |rest| async move { rest.portion().await.map_err(|error| broken_off(&error)) });
    Ok((form.headers(), Body::from_stream(portions)).into_response())
}

/// A body that breaks off tells the reader that something is missing; why, the log is told.
fn broken_off(error: &ApiError) -> io::Error {
    error.log();
    io::Error::other("the log cannot be read on")
}

impl Rest {
    async fn read(&mut self) -> Result<LogPage, ApiError> {
        self.query.limit = Some(self.left.map_or(PORTION, |left| left.min(PORTION)));
        let page = timeout(READ_WITHIN, self.access.logs(&self.query)).await;
        let page = page.map_err(|_| ApiError::timeout(READ_WITHIN))?;
        page.map_err(|error| refused(error, OWN_LOGS))
    }

    /// The next portion, and what is left after it.
    async fn portion(mut self) -> Result<Option<(Bytes, Self)>, ApiError> {
        let page = match self.page.take() {
            Some(page) => page,
            None if self.query.after.is_none() => return Ok(None),
            None => self.read().await?,
        };
        let mut text = String::new();
        if self.is_first && self.form == Form::Csv {
            text.push_str(&export::csv_header());
        }
        self.is_first = false;
        self.left = self.left.map(|left| left - page.entries.len().min(left));
        for entry in page.entries {
            match self.form {
                Form::Csv => text.push_str(&export::csv_line(&entry)),
                Form::Ndjson => text.push_str(&line(entry).map_err(|error| unwritten(&error))?),
            }
        }
        // The next portion begins where this one ended, and leaves nothing more out.
        (self.query.after, self.query.offset) = (page.next.filter(|_| self.left != Some(0)), 0);
        Ok(Some((text.into(), self)))
    }
}

fn unwritten(error: &serde_json::Error) -> ApiError {
    Error::Internal { message: error.to_string() }.into()
}
