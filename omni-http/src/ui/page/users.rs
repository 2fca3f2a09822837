//! People.

use axum::response::Response;

use crate::{
    error::ApiError,
    ui::{
        Page,
        answer::{AsJson, Frame, shown},
        person::Person,
        view::{
            users::{self, View},
            written::Written,
        },
    },
};

/// People of a page.
const PAGE: usize = 50;

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let people = person.admin.people(&person.query.text("after"), PAGE).await?;
    shown(as_json, users::of(Frame::of(&person), people, Written::default()))
}

/// The page, on which somebody could not be let in.
pub(in crate::ui) async fn refusing(person: &Person, written: Written) -> Result<View, ApiError> {
    let people = person.admin.people("", PAGE).await?;
    Ok(users::of(Frame::of(person).titled(Page::Users.title()), people, written))
}
