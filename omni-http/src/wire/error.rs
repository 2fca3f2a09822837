//! What an answer says that is none.

use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// A sentence, or a list of the fields that are not right.
    pub(crate) detail: Detail,
    /// A stable code, such as `rate_limited`.
    pub(crate) code: &'static str,
    /// The request, as in the header `X-Request-Id`.
    pub(crate) request_id: String,
}

/// A sentence, or a list of the fields that are not right.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Detail {
    /// A sentence.
    Text(String),
    /// The fields that are not right.
    Fields(Vec<FieldError>),
}

/// A field that is not right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Where it stands: `body`, `query` or `path`, and the way from there.
    pub(crate) loc: Vec<Place>,
    /// What is wrong.
    pub(crate) msg: String,
    /// A stable code, such as `missing`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

impl FieldError {
    /// A field by the way to it.
    pub(crate) fn of(path: &[&str], msg: &str, kind: &str) -> Self {
        let loc = path.iter().map(|step| Place::Field((*step).into())).collect();
        Self { loc, msg: msg.into(), kind: kind.into() }
    }
}

/// A step on the way to a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Place {
    /// A field of an object.
    Field(String),
    /// An item of a list.
    Index(usize),
}
