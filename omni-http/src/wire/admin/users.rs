//! People.

use omni_core::omni::Profile;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{error::ApiError, wire::within};

/// Most people of a page.
const MAX_PAGE: usize = 1_000;

/// Which people are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageOfUsers {
    /// Those whose address comes after this one.
    #[serde(default)]
    pub(crate) after: Option<String>,
    /// At most so many; 1000 unless it is said.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<usize>,
}

/// A person, and how they stand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminUser {
    /// What identifies them in paths: the address.
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) name: String,
    /// The role that holds; what they had or would get where none does.
    pub(crate) role: Option<String>,
    pub(crate) teams: Vec<String>,
    /// `active`, `blocked`, `pending`, `unknown`.
    pub(crate) status: &'static str,
    /// Why they may not, where they may not.
    pub(crate) reason: Option<String>,
    /// File and line that name them: whoever edits it can change what they may do, and nobody else.
    pub(crate) named_at: Option<String>,
}

impl PageOfUsers {
    /// After whom, and how many.
    ///
    /// # Errors
    /// A number out of its range.
    pub(crate) fn read(self) -> Result<(String, usize), ApiError> {
        let limit = self.limit.map_or(Ok(MAX_PAGE), |limit| within("limit", limit, 1..=MAX_PAGE))?;
        Ok((self.after.unwrap_or_default().trim().to_lowercase(), limit))
    }
}

impl From<Profile> for AdminUser {
    fn from(person: Profile) -> Self {
        Self {
            id: person.email.clone(),
            email: person.email,
            name: person.name,
            role: person.role,
            teams: person.teams,
            status: person.status.as_str(),
            reason: person.reason,
            named_at: person.named_at.as_ref().map(ToString::to_string),
        }
    }
}
