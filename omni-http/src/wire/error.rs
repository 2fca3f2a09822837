//! What an answer says that is none.

use omni_core::catalog::Misfit;
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

    /// What does not fit of the arguments of a call.
    pub(crate) fn of_arguments(message: &str, misfits: &[Misfit]) -> Vec<Self> {
        const AT: [&str; 2] = ["body", "arguments"];
        if misfits.is_empty() {
            return vec![Self::of(&AT, message, "value_error")];
        }
        let one = |misfit: &Misfit| {
            let mut error = Self::of(&AT, &misfit.message, "value_error");
            error.loc.extend(misfit.at.iter().map(|step| Place::of(step)));
            error
        };
        misfits.iter().map(one).collect()
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

impl Place {
    /// A step by its name; a number is one into a list.
    fn of(step: &str) -> Self {
        step.parse().map_or_else(|_| Self::Field(step.into()), Self::Index)
    }
}
