//! Keeps secrets out of the ledger, logs and events.
//!
//! Three ways, all of them at once: values that omni knows to be secret, values under a key that
//! names a secret, and text that looks like one. The last two are guesses, and guess on the safe
//! side.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use regex::{Regex, RegexSet};
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// Known values shorter than this would tear ordinary words apart.
const MIN_VALUE: usize = 4;
/// What lies deeper than this is not looked at, and not kept.
const MAX_DEPTH: usize = 64;

/// Replaces secrets in text and JSON by `[redacted]`.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Known values in every spelling, the longest first.
    values: Arc<[String]>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("values", &self.values.len()).finish()
    }
}

impl Redactor {
    /// A redactor with the built-in rules: keys that name secrets, and values that look like one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same redactor, which also removes this value wherever it stands: as it is, within JSON
    /// and within a URL. Values of less than four characters are left alone.
    #[must_use]
    pub fn with_value(mut self, secret: &str) -> Self {
        if secret.chars().count() < MIN_VALUE {
            return self;
        }
        let mut values = self.values.to_vec();
        values.extend(spellings(secret));
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        self.values = values.into();
        self
    }

    /// The same text without what looks like a secret.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        self.without_secrets(text).into_owned()
    }

    /// Takes what looks like a secret out of a text.
    pub(crate) fn clean(&self, text: &mut String) {
        if let Cow::Owned(redacted) = self.without_secrets(text) {
            *text = redacted;
        }
    }

    fn without_secrets<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = self.known(Cow::Borrowed(text));
        // Most texts hold nothing, which one look tells; the first change would show there.
        if LOOK.as_ref().is_some_and(|look| !look.is_match(&text)) {
            return text;
        }
        for pattern in PATTERNS.iter() {
            if let Cow::Owned(redacted) = pattern.find.replace_all(&text, pattern.replace) {
                text = Cow::Owned(redacted);
            }
        }
        // A guess may have put two parts of a known value together.
        self.known(text)
    }

    /// The same JSON without values of secret-named keys and without strings that look like one.
    #[must_use]
    pub fn json(&self, value: &Value) -> Value {
        let mut value = value.clone();
        self.clean_json(&mut value);
        value
    }

    /// Takes them out of a value.
    pub(crate) fn clean_json(&self, value: &mut Value) {
        self.at_depth(value, 0);
    }

    fn at_depth(&self, value: &mut Value, depth: usize) {
        match value {
            Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => *value = REDACTED.into(),
            Value::Array(items) => items.iter_mut().for_each(|item| self.at_depth(item, depth + 1)),
            Value::Object(map) => self.object(map, depth),
            Value::String(text) => self.clean(text),
            Value::Number(number) => {
                let is_known = |text: String| matches!(self.known(Cow::Borrowed(&text)), Cow::Owned(_));
                if !self.values.is_empty() && is_known(number.to_string()) {
                    *value = REDACTED.into();
                }
            }
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn object(&self, map: &mut Map<String, Value>, depth: usize) {
        for (key, value) in map.iter_mut() {
            match value {
                // Whether there is a password is no secret.
                Value::Bool(_) | Value::Null => {}
                value if names_secret(key) => *value = REDACTED.into(),
                value => self.at_depth(value, depth + 1),
            }
        }
        if map.keys().any(|key| matches!(self.without_secrets(key), Cow::Owned(_))) {
            *map = std::mem::take(map).into_iter().map(|(key, value)| (self.text(&key), value)).collect();
        }
    }

    fn known<'a>(&self, mut text: Cow<'a, str>) -> Cow<'a, str> {
        for value in self.values.iter() {
            if text.contains(value) {
                text = Cow::Owned(text.replace(value, REDACTED));
            }
        }
        text
    }
}

/// A value as it is, as JSON writes it and as URLs write it.
fn spellings(secret: &str) -> impl Iterator<Item = String> {
    let json = Value::from(secret).to_string();
    let json = json.trim_start_matches('"').trim_end_matches('"').to_owned();
    let url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let percent = url.replace('+', "%20");
    [secret.to_owned(), json, url, percent].into_iter().filter(|spelling| spelling.len() >= MIN_VALUE)
}

/// Parts of names that make a key a secret's, without dashes, underscores and case.
const NAMES: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "authorization",
    "credential",
    "cookie",
    "connectionstring",
    "databaseurl",
];

/// Ends of such names: `access_token`, but not `max_tokens`.
const ENDS: [&str; 5] = ["token", "pwd", "dsn", "jwt", "bearer"];

/// Whether a key names a secret.
pub(crate) fn names_secret(key: &str) -> bool {
    let name: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    name == "auth" || NAMES.iter().any(|part| name.contains(part)) || ENDS.iter().any(|end| name.ends_with(end))
}

struct Pattern {
    find: Regex,
    replace: &'static str,
}

/// What secrets look like, and what is left of them. The order counts: what is found whole must
/// not be cut by a later rule.
///
/// Where a word has to begin, `(?-u:\b)` asks that of ASCII alone. A `\b` that knows all letters would make the fast
/// engines give up at the first one that is not ASCII; before an ASCII letter it holds nowhere where this one does not.
const LOOKS: [(&str, &str); 6] = [
    (r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)", REDACTED),
    // scheme://user:password@. It does not matter where the scheme begins: what is removed stands behind it.
    (r#"(?i)([a-z][a-z0-9+.-]*://[^\s:/@"']*):[^\s"']+@"#, "${1}:[redacted]@"),
    (r"(?i)(?-u:\b)(bearer\s+)[a-z0-9._~+/=-]{3,}", "${1}[redacted]"),
    (r"(?i)(?-u:\b)(basic\s+)[a-z0-9+/]{8,}=+", "${1}[redacted]"),
    (
        r"(?x) (?-u:\b)(?:
            # A key of omni's. The eight characters that find one are shown to people, and stay.
            omni_[0-9A-Fa-f]{16,} |
            sk-[A-Za-z0-9_-]{12,} | (?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,} |
            xox[a-z]-[A-Za-z0-9-]{8,} | xapp-[A-Za-z0-9-]{8,} |
            gh[opsur]_[A-Za-z0-9]{16,} | github_pat_[A-Za-z0-9_]{20,} | glpat-[A-Za-z0-9_-]{16,} |
            npm_[A-Za-z0-9]{30,} | hf_[A-Za-z0-9]{20,} | AIza[A-Za-z0-9_-]{30,} | (?:AKIA|ASIA)[A-Z0-9]{16} |
            eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)? |
            hooks\.slack\.com/services/[A-Za-z0-9/]+
        )",
        REDACTED,
    ),
    // password=…, "api_key": "…", --token …; a `token` ends there or goes on with a dash, for `tokens` are counted.
    (
        r#"(?xi) ( (?: (?: pass(?:word|wd|phrase) | secret | api[-_\ ]?key | access[-_]?key | private[-_]?key
                | signing[-_]?key | authorization | credentials? | cookie | connection[-_]?string | database[-_]?url
                | (?-u:\b)(?:pwd|dsn) ) [\w-]*
            | token(?:-[\w-]*)? ) \\?["']? \s* [:=] \s* )
            (?: (?:(?:basic|bearer|digest)\s+)? \[redacted\] | (?:basic|bearer|digest)\s+[^\s"',;]+ | \\?"[^"\\]*\\?"? | '[^']*'? | [^\s"',;&}\])]+ )"#,
        "${1}[redacted]",
    ),
];

/// Whether any of them is in a text.
static LOOK: LazyLock<Option<RegexSet>> = LazyLock::new(|| RegexSet::new(LOOKS.map(|(find, _)| find)).ok());

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    // A test holds that every one of them is a pattern.
    let compile = |(find, replace): &(&str, &'static str)| Some(Pattern { find: Regex::new(find).ok()?, replace });
    LOOKS.iter().filter_map(compile).collect()
});
