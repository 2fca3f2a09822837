//! What forms and addresses bring.

use url::form_urlencoded;

/// Names and values, in order. A name may come several times.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Those of a query, or of a form's body.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The first value of a name that is not empty.
    pub(super) fn of(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        values.find(|value| !value.is_empty())
    }

    /// The same, without spaces around it; empty where there is none.
    pub(super) fn text(&self, name: &str) -> String {
        self.of(name).unwrap_or_default().trim().to_owned()
    }

    /// All values of a name.
    pub(super) fn all<'s, 'n>(&'s self, name: &'n str) -> impl Iterator<Item = &'s str> + use<'s, 'n> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// A query with some values in the place of others.
    pub(super) fn with(&self, changes: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let kept =
            self.0.iter().filter(|(name, value)| !value.is_empty() && changes.iter().all(|(own, _)| own != name));
        kept.for_each(|(name, value)| {
            query.append_pair(name, value);
        });
        changes.iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
            query.append_pair(name, value);
        });
        query.finish()
    }
}

/// The address of a page with a query.
pub(super) fn link(page: &str, query: &[(&str, &str)]) -> String {
    format!("{page}?{}", Fields::default().with(query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_whatever_a_name_is_made_of() {
        let to = link("tool", &[("server", "a&b"), ("tool", "x y\"<>#?"), ("empty", "")]);
        assert_eq!(to, "tool?server=a%26b&tool=x+y%22%3C%3E%23%3F");
        let fields = Fields::parse(to.split_once('?').unwrap().1.as_bytes());
        assert_eq!((fields.of("server"), fields.of("tool"), fields.of("no")), (Some("a&b"), Some("x y\"<>#?"), None));
        assert_eq!(fields.with(&[("server", "c")]), "tool=x+y%22%3C%3E%23%3F&server=c");
    }
}
