//! Stems by what is left of them without one letter: how a mistyped one is found.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Shortest and longest stem that one wrong letter is forgiven, in bytes.
pub(super) const MIN_TYPED: usize = 5;
const MAX_TYPED: usize = 32;

#[derive(Debug)]
pub(super) struct Typed {
    stems: Vec<String>,
    /// A hash of what is left, and of which stem it is; sorted.
    forms: Vec<(u64, usize)>,
}

impl Typed {
    pub(super) fn of<'a>(stems: impl Iterator<Item = &'a String>) -> Self {
        let stems: Vec<String> = stems.filter(|stem| (MIN_TYPED..=MAX_TYPED).contains(&stem.len())).cloned().collect();
        let forms = |(at, stem): (usize, &String)| -> Vec<(u64, usize)> {
            shortened(stem).map(|form| (hash(&form), at)).collect()
        };
        let mut forms: Vec<(u64, usize)> = stems.iter().enumerate().flat_map(forms).collect();
        forms.sort_unstable();
        forms.dedup();
        Self { stems, forms }
    }

    /// The stems of which this may be left. Two words may have one hash, so whoever asks compares them.
    pub(super) fn stems_of<'a>(&'a self, form: &str) -> impl Iterator<Item = &'a String> + use<'a> {
        let wanted = hash(form);
        let from = self.forms.partition_point(|(form, _)| *form < wanted);
        let same = self.forms[from..].iter().take_while(move |(form, _)| *form == wanted);
        same.map(move |(_, at)| &self.stems[*at])
    }
}

/// A word without each of its letters in turn.
pub(super) fn shortened(word: &str) -> impl Iterator<Item = String> + '_ {
    word.char_indices().map(|(at, c)| format!("{}{}", &word[..at], &word[at + c.len_utf8()..]))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
