//! People.

use axum::response::Response;

use crate::{
    error::ApiError,
    ui::{
        answer::{AsJson, Frame, shown},
        person::Person,
        view::users,
    },
};

/// People of a page.
const PAGE: usize = 50;

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let people = person.admin.people(&person.query.text("after"), PAGE).await?;
    shown(as_json, users::of(Frame::of(&person), people))
}
