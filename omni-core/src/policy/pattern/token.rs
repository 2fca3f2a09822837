//! What Python's `fnmatch` makes of a pattern, and the same in the dialect of `globset`.

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// `*`: any run of characters; never two in a row.
    Run,
    /// `?`: one character.
    One,
    /// A character that stands for itself.
    Char(char),
    /// `[…]`: one character in one of the ranges, or in none of them.
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// Parses a pattern; there is none that `fnmatch` refuses.
pub(super) fn parse(pattern: &str) -> Vec<Token> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut tokens = Vec::with_capacity(chars.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        match c {
            '*' if tokens.last() == Some(&Token::Run) => {}
            '*' => tokens.push(Token::Run),
            '?' => tokens.push(Token::One),
            '[' => match class_end(&chars, at) {
                Some(end) => {
                    tokens.push(class(&chars[at..end]));
                    at = end + 1;
                }
                None => tokens.push(Token::Char('[')),
            },
            other => tokens.push(Token::Char(other)),
        }
    }
    tokens
}

/// Where the class that opens before `from` closes; a `]` right at its start belongs to it.
fn class_end(chars: &[char], from: usize) -> Option<usize> {
    let mut at = from;
    if chars.get(at) == Some(&'!') {
        at += 1;
    }
    if chars.get(at) == Some(&']') {
        at += 1;
    }
    (at..chars.len()).find(|&at| chars[at] == ']')
}

/// The inside of `[…]`. A range that runs backwards is empty; an empty class matches nothing, its
/// negation anything.
fn class(inside: &[char]) -> Token {
    let negated = inside.first() == Some(&'!');
    let chars = if negated { &inside[1..] } else { inside };
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let (low, high, width) = match chars.get(at + 1..at + 3) {
            Some(&['-', high]) => (chars[at], high, 3),
            _ => (chars[at], chars[at], 1),
        };
        if low <= high {
            ranges.push((low, high));
        }
        at += width;
    }
    Token::Class { negated, ranges }
}

/// Whether the tokens match the whole name, with one point to come back to: the last run.
pub(super) fn matches(tokens: &[Token], name: &str) -> bool {
    let (mut token, mut rest) = (0, name);
    let mut run: Option<(usize, &str)> = None;
    loop {
        let mut chars = rest.chars();
        match (tokens.get(token), chars.next()) {
            (Some(Token::Run), _) => {
                run = Some((token, rest));
                token += 1;
                continue;
            }
            (Some(one), Some(c)) if one.takes(c) => {
                token += 1;
                rest = chars.as_str();
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((at, from)) = run else { return false };
        let mut chars = from.chars();
        if chars.next().is_none() {
            return false;
        }
        (token, rest) = (at + 1, chars.as_str());
        run = Some((at, rest));
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Run => false,
            Self::One => true,
            Self::Char(own) => *own == c,
            Self::Class { negated, ranges } => ranges.iter().any(|&(low, high)| (low..=high).contains(&c)) != *negated,
        }
    }
}

/// The tokens as a glob of `globset` that is right for ASCII names.
pub(super) fn to_glob(tokens: &[Token]) -> String {
    // A dot beside a run would make `globset` look at file extensions, which names do not have.
    let is_literal = tokens.iter().all(|token| matches!(token, Token::Char(_)));
    let mut glob = String::new();
    for token in tokens {
        match token {
            Token::Run => glob.push('*'),
            Token::One => glob.push('?'),
            Token::Char('.') if !is_literal => glob.push_str("[.]"),
            Token::Char(c @ ('*' | '?' | '[' | '{' | '}')) => glob.extend(['[', *c, ']']),
            Token::Char(c) => glob.push(*c),
            Token::Class { .. } => push_class(&mut glob, token),
        }
    }
    glob
}

/// Writes a class as the ASCII characters that it takes, ordered so that none reads as syntax.
fn push_class(glob: &mut String, class: &Token) {
    let taken = |c: char| class.takes(c);
    let plain: String = ascii().filter(|&c| taken(c) && !matches!(c, ']' | '^' | '!' | '-')).collect();
    let syntax: String = ['^', '!'].into_iter().filter(|&c| taken(c)).collect();
    let bracket = if taken(']') { "]" } else { "" };
    let dash = if taken('-') { "-" } else { "" };
    match (plain.is_empty() && bracket.is_empty(), syntax.as_str(), dash) {
        // The class takes no ASCII character: neither does this.
        (true, "", "") => glob.push_str("\u{80}"),
        (true, "^!", "") => glob.push_str("{^,!}"),
        (true, one, "") => glob.push_str(one),
        (true, _, _) => glob.extend(["[", dash, syntax.as_str(), "]"]),
        (false, _, _) => glob.extend(["[", bracket, plain.as_str(), syntax.as_str(), dash, "]"]),
    }
}

fn ascii() -> impl Iterator<Item = char> {
    (0..=0x7f_u8).map(char::from)
}
