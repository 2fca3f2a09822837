//! Tool-name patterns with the semantics of Python's `fnmatch.fnmatchcase` on a whole name.
//!
//! A pattern is parsed by [`token`] into what `fnmatch` makes of it, written down again in the
//! dialect of `globset`, and many of them are matched at once. `globset` works on bytes, so a name
//! that is not ASCII is matched token by token.

use std::cell::RefCell;

use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};

mod token;

use token::{Token, matches, parse, to_glob};

/// Longest pattern, in bytes. Tool names have at most 128 characters.
const MAX_PATTERN_BYTES: usize = 1_024;

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
    tokens: Vec<Token>,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// A [`PatternError`] when it is too long.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_PATTERN_BYTES {
            let message = format!("it is longer than {MAX_PATTERN_BYTES} bytes");
            return Err(PatternError { pattern: text.chars().take(40).collect(), message });
        }
        Ok(Self { text: text.into(), tokens: parse(text) })
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern matches the whole name. For many patterns use a [`PatternSet`].
    #[must_use]
    pub fn is_match(&self, name: &str) -> bool {
        matches(&self.tokens, name)
    }

    fn glob(&self) -> Result<Glob, PatternError> {
        GlobBuilder::new(&to_glob(&self.tokens))
            .literal_separator(false)
            .backslash_escape(false)
            .build()
            .map_err(|error| PatternError { pattern: self.text.clone(), message: error.kind().to_string() })
    }
}

/// Many patterns, matched at once.
#[derive(Debug, Clone, Default)]
pub struct PatternSet {
    texts: Vec<String>,
    patterns: Vec<Pattern>,
    set: GlobSet,
}

thread_local! {
    /// Where the positions of matches are collected, so that matching allocates nothing.
    static MATCHES: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl PatternSet {
    /// Compiles patterns.
    ///
    /// # Errors
    /// The first [`PatternError`].
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, PatternError> {
        let mut builder = GlobSetBuilder::new();
        let mut parsed = Vec::with_capacity(patterns.len());
        for text in patterns {
            let pattern = Pattern::new(text.as_ref())?;
            builder.add(pattern.glob()?);
            parsed.push(pattern);
        }
        let texts: Vec<String> = patterns.iter().map(|text| text.as_ref().to_owned()).collect();
        let set = builder.build().map_err(|error| PatternError {
            pattern: texts.first().cloned().unwrap_or_default(),
            message: format!("{} patterns together: {}", texts.len(), error.kind()),
        })?;
        Ok(Self { texts, patterns: parsed, set })
    }

    /// The position of the first pattern that matches the whole name.
    #[must_use]
    pub fn first_match(&self, name: &str) -> Option<usize> {
        self.with_matches(name, |positions| positions.first().copied())
    }

    /// Whether any pattern matches the whole name.
    #[must_use]
    pub fn is_match(&self, name: &str) -> bool {
        if name.is_ascii() { self.set.is_match(name) } else { self.patterns.iter().any(|p| p.is_match(name)) }
    }

    /// The patterns as written, in order.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.texts
    }

    /// Hands the positions of all patterns that match, in order, to `look`, which must not match
    /// anything itself.
    pub(super) fn with_matches<T>(&self, name: &str, look: impl FnOnce(&[usize]) -> T) -> T {
        MATCHES.with_borrow_mut(|positions| {
            if name.is_ascii() {
                self.set.matches_candidate_into(&Candidate::new(name), positions);
            } else {
                positions.clear();
                positions.extend((0..self.patterns.len()).filter(|&at| self.patterns[at].is_match(name)));
            }
            look(positions)
        })
    }
}

#[cfg(test)]
mod tests;
