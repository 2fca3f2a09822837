//! Words: split, stripped of endings, and known to mean the same.

/// A word as it stood, and its stem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) raw: String,
    pub(crate) stem: String,
}

/// Words that tell tools apart from nothing.
const STOP: &[&str] = &[
    "a", "about", "all", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "could", "did", "do",
    "does", "each", "for", "from", "get", "give", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it",
    "its", "let", "like", "many", "mcp", "me", "much", "need", "of", "off", "on", "or", "our", "over", "please",
    "return", "s", "see", "shall", "should", "show", "some", "tell", "than", "that", "the", "their", "them", "there",
    "these", "they", "this", "those", "to", "under", "up", "us", "using", "want", "was", "we", "were", "what", "which",
    "will", "with", "would", "you", "your",
];

/// Words of general English that stand for one another in the names of tools.
const SYNONYMS: &[&[&str]] = &[
    &["cost", "expense", "money", "price", "spend", "spent", "paid"],
    &["repository", "repo"],
    &["database", "db"],
    &["directory", "folder", "dir"],
    &["sum", "add", "plus"],
    &["mean", "average"],
    &["image", "picture", "photo"],
    &["environment", "env"],
    &["compress", "gzip", "zip"],
    &["echo", "repeat"],
    &["create", "new", "open", "make", "add"],
    &["delete", "remove", "erase"],
    &["find", "search", "look"],
    &["read", "content", "view"],
    &["send", "post", "tell"],
    &["event", "meeting", "appointment"],
    &["failure", "fail", "error", "broken", "crash"],
    &["user", "people", "person", "who"],
    &["popularity", "popular", "used"],
    &["health", "healthy"],
    &["toggle", "switch", "turn"],
    &["trend", "history", "develop", "development"],
    &["plan", "explain"],
    &["size", "large", "big"],
    &["my", "own", "mine"],
    &["schema", "structure", "structured"],
];

/// The words of `text`: split at what is no letter or digit and inside camelCase, stop words left out.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    for part in text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()) {
        for piece in camel(part) {
            let raw = piece.to_lowercase();
            if !is_stop(&raw) {
                found.push(Word { stem: stem(&raw), raw });
            }
        }
    }
    found
}

/// Whether a word, in lower case, carries no meaning of its own.
pub(crate) fn is_stop(word: &str) -> bool {
    STOP.binary_search(&word).is_ok()
}

/// `getHTTPUrl` is get, HTTP, Url.
fn camel(part: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = part.char_indices().collect();
    let mut pieces = Vec::new();
    let mut from = 0;
    for i in 1..chars.len() {
        let (before, here, after) = (chars[i - 1].1, chars[i].1, chars.get(i + 1).map(|(_, c)| *c));
        let starts_word = here.is_uppercase() && (before.is_lowercase() || after.is_some_and(char::is_lowercase));
        if starts_word && before.is_alphabetic() {
            pieces.push(&part[from..chars[i].0]);
            from = chars[i].0;
        }
    }
    pieces.push(&part[from..]);
    pieces
}

/// A light stem: endings of number, degree and tense go, as long as something is left.
pub(crate) fn stem(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(rest) = word.strip_suffix("ies").or_else(|| word.strip_suffix("ied")).filter(|rest| rest.len() >= 3) {
        word = format!("{rest}y");
    } else if let Some(rest) = ["ches", "shes", "xes", "sses"].iter().find_map(|e| word.strip_suffix(e).map(|r| (r, e)))
    {
        word = format!("{}{}", rest.0, &rest.1[..rest.1.len() - 2]);
    } else if word.len() > 3
        && word.ends_with('s')
        && !word.ends_with("ss")
        && !word.ends_with("us")
        && !word.ends_with("is")
    {
        word.pop();
    }
    for ending in ["iest", "ing", "est", "ed"] {
        if let Some(rest) = word.strip_suffix(ending).filter(|rest| rest.len() >= 3 && has_vowel(rest)) {
            word = undoubled(rest).to_owned();
            break;
        }
    }
    if word.len() == 4 && word.ends_with("ed") {
        word.pop();
    }
    match word.strip_suffix(['e', 'y']).filter(|rest| rest.len() >= 3) {
        Some(rest) => rest.to_owned(),
        None => word,
    }
}

fn has_vowel(word: &str) -> bool {
    word.contains(['a', 'e', 'i', 'o', 'u', 'y'])
}

/// `stopp` is `stop`; `call`, `pass` and `add` stay.
fn undoubled(word: &str) -> &str {
    let bytes = word.as_bytes();
    match bytes {
        [.., a, b] if a == b && word.len() > 3 && matches!(b, b'b' | b'g' | b'm' | b'n' | b'p' | b't') => {
            &word[..word.len() - 1]
        }
        _ => word,
    }
}

/// The stems that may stand for `word`, itself not among them.
pub(crate) fn synonyms(word: &Word) -> Vec<String> {
    let same = |other: &&str| **other == word.raw || stem(other) == word.stem;
    let groups = SYNONYMS.iter().filter(|group| group.iter().any(same));
    let mut found: Vec<String> = groups.flat_map(|group| group.iter().map(|other| stem(other))).collect();
    found.sort();
    found.dedup();
    found.retain(|other| *other != word.stem);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.stem).collect()
    }

    #[test]
    fn names_of_every_fashion_split_into_words() {
        assert_eq!(stems("read_text-file"), stems("readTextFile"));
        assert_eq!(camel("parseHTTPUrl"), ["parse", "HTTP", "Url"]);
    }

    #[test]
    fn forms_of_a_word_share_a_stem() {
        for forms in [
            &["query", "queries", "queried"][..],
            &["slow", "slowest"],
            &["execute", "executing", "executed"],
            &["close", "closes", "closed"],
            &["stop", "stopping", "stopped"],
            &["search", "searches", "searching"],
            &["use", "used", "uses"],
        ] {
            let stems: Vec<String> = forms.iter().map(|form| stem(form)).collect();
            assert!(stems.windows(2).all(|pair| pair[0] == pair[1]), "{forms:?}: {stems:?}");
        }
    }

    #[test]
    fn stop_words_are_sorted_so_that_they_are_found() {
        assert!(STOP.is_sorted());
        assert!(stems("what is it, please?").is_empty());
    }
}
