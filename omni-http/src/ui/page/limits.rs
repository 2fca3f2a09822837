//! How much people may do, and how much of it they did.

use axum::response::Response;
use chrono::Utc;
use omni_core::ErrorKind;

use crate::{
    error::ApiError,
    ui::{
        answer::{AsJson, Frame, shown},
        person::Person,
        view::limits::{self, Counted},
    },
};

/// People of a page: each of them is counted.
const PAGE: usize = 20;

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let people = person.admin.people(&person.query.text("after"), PAGE).await?;
    let mut counted = Vec::new();
    for one in people.page {
        let standings = match person.admin.standings_of(&one.email).await {
            Ok(standings) => Ok(standings),
            Err(error) if error.kind() == ErrorKind::Denied => Err(error.public_message()),
            Err(error) => return Err(error.into()),
        };
        counted.push(Counted { person: one, standings });
    }
    shown(as_json, limits::of(Frame::of(&person), &counted, people.next, Utc::now()))
}
