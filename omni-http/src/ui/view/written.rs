//! A change of somebody that was not made.

use crate::ui::fields::Fields;

/// The form as it was written, and why nothing came of it; empty where nothing was to be changed.
#[derive(Debug, Default)]
pub(in crate::ui) struct Written {
    pub(in crate::ui) email: String,
    pub(super) role: String,
    pub(super) message: String,
    /// Whether they were to be kept out.
    pub(super) is_out: bool,
    pub(super) why: Vec<String>,
}

impl Written {
    pub(in crate::ui) fn of(fields: &Fields, why: Vec<String>) -> Self {
        Self {
            email: fields.text("email"),
            role: fields.text("role"),
            message: fields.text("message"),
            is_out: fields.of("do") == Some("disable"),
            why,
        }
    }
}
