//! What credentials may be used for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a credential may be used for. The rights of an ask are the subject's rights cut by these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// Ask questions. The model calls tools for the asker then; to call one directly takes
    /// [`Scope::Tools`].
    Ask,
    /// List and call tools directly: over HTTP, over the MCP gateway, at the terminal. It is called
    /// `mcp`; `tools` is understood too.
    #[serde(rename = "mcp", alias = "tools")]
    Tools,
    /// Read what others asked, where the subject's role allows it. One's own everybody may read.
    Audit,
    /// Use admin operations, where the subject's role allows them too.
    Admin,
    /// Act for other subjects.
    ActAs,
}

impl Scope {
    /// The name in configurations and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Tools => "mcp",
            Self::Audit => "audit",
            Self::Admin => "admin",
            Self::ActAs => "act_as",
        }
    }

    /// Where a set keeps it.
    fn bit(self) -> u8 {
        const { assert!(Self::ALL.len() <= 8) };
        1 << self as u8
    }

    /// All scopes.
    pub const ALL: [Self; 5] = [Self::Ask, Self::Tools, Self::Audit, Self::Admin, Self::ActAs];

    /// The scope of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let is_called = |scope: &Self| scope.as_str() == name || (*scope == Self::Tools && name == "tools");
        Self::ALL.into_iter().find(is_called)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of [`Scope`]s.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Ask and call tools; nothing that concerns others.
    #[must_use]
    pub fn user() -> Self {
        Self(Scope::Ask.bit() | Scope::Tools.bit())
    }

    /// The scopes, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        Scope::ALL.into_iter().filter(|scope| self.contains(*scope))
    }

    /// Whether `scope` is in the set.
    #[must_use]
    pub fn contains(&self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |all, scope| all | scope.bit()))
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        scopes.into_iter().collect()
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.iter().collect()
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_set_holds_what_was_put_into_it_and_is_told_in_one_order() {
        for chosen in 0..1_u8 << Scope::ALL.len() {
            let of = |at: &usize| chosen & (1 << at) != 0;
            let some: Vec<Scope> = (0..Scope::ALL.len()).filter(of).map(|at| Scope::ALL[at]).collect();
            let scopes: Scopes = some.iter().rev().copied().collect();
            assert_eq!(scopes.iter().collect::<Vec<_>>(), some);
            assert!(Scope::ALL.into_iter().all(|scope| scopes.contains(scope) == some.contains(&scope)));
            let told = serde_json::to_value(&scopes).unwrap();
            assert_eq!(told, json!(some));
            assert_eq!(serde_json::from_value::<Scopes>(told).unwrap(), scopes);
        }
        assert_eq!(serde_json::from_str::<Scopes>(r#"["tools", "ask", "ask"]"#).unwrap(), Scopes::user());
        assert_eq!(format!("{:?}", Scopes::user()), "{Ask, Tools}");
    }
}
