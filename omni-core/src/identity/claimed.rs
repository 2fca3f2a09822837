//! What an identity provider says of somebody, by a token or by a proxy's headers, and what it is worth.

use super::{Principal, Scope, Scopes, Via, is_subject, normalise};

/// Most groups that go on with a principal; the role was worked out from all of them.
const MAX_GROUPS: usize = 100;

/// Which role the groups of an identity provider stand for.
///
/// Of somebody who is in several, the group counts that comes first here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleMap(Vec<(String, String)>);

impl RoleMap {
    /// The role that groups stand for; `None` where they stand for none.
    #[must_use]
    pub fn role_of(&self, groups: &[String]) -> Option<&str> {
        self.entries().find(|(group, _)| groups.iter().any(|own| own == group)).map(|(_, role)| role)
    }

    /// Groups and their roles, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(group, role)| (group.as_str(), role.as_str()))
    }
}

impl FromIterator<(String, String)> for RoleMap {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// Somebody whom an identity provider vouches for; `None` where the name cannot be one of theirs.
///
/// They may do all that people may, as far as the role goes, for nobody but themselves.
pub(super) fn principal(name: &str, via: Via, mut groups: Vec<String>, roles: &RoleMap) -> Option<Principal> {
    let subject = claimed_subject(name)?;
    let scopes = [Scope::Ask, Scope::Tools, Scope::Audit, Scope::Admin];
    let mut principal = Principal::new(&subject, via).with_scopes(Scopes::from_iter(scopes));
    principal.claimed_role = roles.role_of(&groups).map(str::to_owned);
    groups.truncate(MAX_GROUPS);
    principal.groups = groups;
    Some(principal)
}

/// A name that another service gives somebody, as the policy knows it; `None` where it could be taken for somebody
/// else's: of whoever sits at the terminal, with characters that nobody sees, or with letters whose lower case is another
/// one's.
#[must_use]
pub fn claimed_subject(name: &str) -> Option<String> {
    let name = name.trim();
    let subject = normalise(name);
    // `local:ann` is whoever sits at the terminal, which no provider can know.
    (is_subject(name) && !subject.starts_with("local:") && keeps_its_letters(name, &subject)).then_some(subject)
}

/// Whether lower case made no ASCII letter of another one: the Kelvin sign becomes a `k`, and its
/// owner would become somebody else.
fn keeps_its_letters(name: &str, lower: &str) -> bool {
    let ascii = |text: &str| text.bytes().filter(u8::is_ascii).count();
    ascii(name) == ascii(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles() -> RoleMap {
        [("omni-admins", "admin"), ("all", "read_only"), ("dbas", "dba")]
            .map(|(group, role)| (group.to_owned(), role.to_owned()))
            .into_iter()
            .collect()
    }

    fn of(name: &str, groups: &[&str]) -> Option<Principal> {
        principal(name, Via::Oidc, groups.iter().map(ToString::to_string).collect(), &roles())
    }

    #[test]
    fn of_several_groups_the_first_of_the_map_gives_the_role() {
        let role = |groups: &[&str]| of("ann@x.org", groups).unwrap().claimed_role().map(str::to_owned);
        assert_eq!(role(&["dbas", "all"]).as_deref(), Some("read_only"));
        assert_eq!(role(&["other", "dbas"]).as_deref(), Some("dba"));
        assert_eq!(role(&["DBAS", "admin", "dba"]), None, "a role's own name is no group");
    }

    #[test]
    fn a_claimed_role_ends_with_the_channel_that_claimed_it() {
        let ann = of("Ann@X.org", &["dbas"]).unwrap();
        assert_eq!((ann.subject.as_str(), ann.claimed_role()), ("ann@x.org", Some("dba")));
        for via in [Via::Asserted, Via::ApiKey, Via::Slack, Via::Schedule, Via::ResumedRun, Via::LocalUser] {
            assert_eq!(Principal { via, ..ann.clone() }.claimed_role(), None, "{via:?}");
        }
    }

    #[test]
    fn a_name_that_could_be_somebody_elses_is_nobody() {
        let long = format!("{}@x.org", "a".repeat(320));
        for name in ["", "  ", "local:root", " LOCAL:root", "a b@x.org", "a\n@x.org", "a\0@x.org", &long] {
            assert!(of(name, &[]).is_none(), "{name:?}");
        }
        // The Kelvin sign, and a dotted capital I.
        assert!(of("boss@\u{212a}ompany.com", &[]).is_none() && of("\u{130}da@x.org", &[]).is_none());
        assert_eq!(of(" ÄNN@x.org ", &[]).unwrap().subject, "änn@x.org");
    }

    #[test]
    fn groups_that_go_on_are_bounded_and_the_role_is_of_all() {
        let many: Vec<String> = (0..500).map(|at| format!("g{at}")).chain(["dbas".into()]).collect();
        let ann = principal("ann@x.org", Via::Oidc, many, &roles()).unwrap();
        assert_eq!((ann.groups.len(), ann.claimed_role()), (100, Some("dba")));
    }
}
