//! Fenced code: where it begins and ends.

/// Longest fence that is one.
const MAX_MARKS: usize = 40;
/// Longest opening line that is repeated as it is.
const MAX_OPENER: usize = 60;

/// An open fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fence {
    mark: char,
    count: usize,
    is_quoted: bool,
    info: String,
}

impl Fence {
    /// The fence that a line opens.
    pub(super) fn opened_by(line: &str) -> Option<Self> {
        let (line, is_quoted) = unquoted(line);
        let line = unlisted(line);
        let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let count = line.chars().take_while(|&c| c == mark).count();
        let info = line[count..].trim();
        let is_fence = (3..=MAX_MARKS).contains(&count) && (mark == '~' || !info.contains('`'));
        is_fence.then(|| Self { mark, count, is_quoted, info: info.to_owned() })
    }

    /// Whether a line closes it.
    pub(super) fn is_closed_by(&self, line: &str) -> bool {
        let (line, _) = unquoted(line);
        let line = line.trim();
        line.len() >= self.count && line.chars().all(|c| c == self.mark)
    }

    /// Whether a line is no part of it, because it stands outside of the quotation.
    pub(super) fn is_left_by(&self, line: &str) -> bool {
        self.is_quoted && !line.trim_start().starts_with('>')
    }

    /// The line that opens it again.
    pub(super) fn opener(&self) -> String {
        let info = if self.info.len() > MAX_OPENER { "" } else { &self.info };
        format!("{}{}{info}\n", self.quote(), self.marks())
    }

    /// The line that closes it.
    pub(super) fn closer(&self) -> String {
        format!("{}{}", self.quote(), self.marks())
    }

    fn marks(&self) -> String {
        std::iter::repeat_n(self.mark, self.count).collect()
    }

    fn quote(&self) -> &'static str {
        if self.is_quoted { "> " } else { "" }
    }
}

/// A line without the marks of quotations.
fn unquoted(line: &str) -> (&str, bool) {
    let inner = line.trim_start_matches([' ', '\t', '>']);
    (inner, line[..line.len() - inner.len()].contains('>'))
}

/// A line without the mark of a list.
fn unlisted(line: &str) -> &str {
    let rest = match line.strip_prefix(['-', '*', '+']) {
        Some(rest) => Some(rest),
        None => line.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(['.', ')']),
    };
    rest.filter(|rest| rest.starts_with(' ')).map_or(line, str::trim_start)
}
