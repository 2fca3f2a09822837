//! Tool-name patterns with the semantics of Python's `fnmatch` on a whole name.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {pattern:?} cannot be used: {message}")]
pub struct PatternError {
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
    pub message: String,
}

/// One pattern: `*` any run, `?` one character, `[abc]`, `[!abc]`; everything else is itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    glob: Glob,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// A [`PatternError`] when it cannot be compiled.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let glob = GlobBuilder::new(&to_globset(text))
            .literal_separator(false)
            .backslash_escape(false)
            .build()
            .map_err(|error| PatternError { pattern: text.into(), message: error.kind().to_string() })?;
        Ok(Self { text: text.into(), glob })
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Many patterns, matched at once.
#[derive(Debug, Clone, Default)]
pub struct PatternSet {
    patterns: Vec<String>,
    set: GlobSet,
}

impl PatternSet {
    /// Compiles patterns.
    ///
    /// # Errors
    /// The first [`PatternError`].
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, PatternError> {
        let mut builder = GlobSetBuilder::new();
        let mut texts = Vec::with_capacity(patterns.len());
        for text in patterns {
            builder.add(Pattern::new(text.as_ref())?.glob);
            texts.push(text.as_ref().to_owned());
        }
        let set = builder
            .build()
            .map_err(|error| PatternError { pattern: texts.join(", "), message: error.kind().to_string() })?;
        Ok(Self { patterns: texts, set })
    }

    /// The position of the first pattern that matches the whole name.
    #[must_use]
    pub fn first_match(&self, name: &str) -> Option<usize> {
        self.set.matches(name).first().copied()
    }

    /// Whether any pattern matches the whole name.
    #[must_use]
    pub fn is_match(&self, name: &str) -> bool {
        self.set.is_match(name)
    }

    /// The patterns as written, in order.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }
}

fn to_globset(pattern: &str) -> String {
    pattern.to_owned()
}
