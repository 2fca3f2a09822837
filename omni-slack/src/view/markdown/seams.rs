//! What is open at a place in a text: it is closed before a seam and opened again after it.

use super::fence::Fence;
use crate::view::limits::width;

/// Longest heading of a table that is repeated.
const MAX_TABLE_HEAD: usize = 600;

/// What is open after the text so far.
#[derive(Debug, Clone, Default)]
pub struct Seams {
    fence: Option<Fence>,
    /// The heading of the table that goes on here.
    table: Option<String>,
    last: String,
    line: String,
}

impl Seams {
    /// Takes more text.
    pub fn feed(&mut self, text: &str) {
        let mut rest = text;
        while let Some((line, after)) = rest.split_once('\n') {
            self.line.push_str(line);
            let line = std::mem::take(&mut self.line);
            self.ended(line);
            rest = after;
        }
        self.line.push_str(rest);
    }

    /// What closes what is open.
    #[must_use]
    pub fn close(&self) -> String {
        let gap = if self.line.is_empty() { "" } else { "\n" };
        self.fence.as_ref().map_or(String::new(), |fence| format!("{gap}{}", fence.closer()))
    }

    /// What opens it again.
    #[must_use]
    pub fn reopen(&self) -> String {
        match (&self.fence, &self.table) {
            (Some(fence), _) => fence.opener(),
            (None, Some(head)) if self.line.is_empty() && width(head) <= MAX_TABLE_HEAD => head.clone(),
            _ => String::new(),
        }
    }

    /// Whether nothing is open.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.fence.is_none() && self.table.is_none()
    }

    /// Whether code is open.
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.fence.is_some()
    }

    /// Whether the last line was empty.
    pub(super) fn is_after_gap(&self) -> bool {
        self.last.trim().is_empty()
    }

    fn ended(&mut self, line: String) {
        if self.fence.as_ref().is_some_and(|fence| fence.is_left_by(&line)) {
            self.fence = None;
        }
        match &self.fence {
            Some(fence) if fence.is_closed_by(&line) => self.fence = None,
            Some(_) => {}
            None => {
                self.fence = Fence::opened_by(&line);
                self.table = self.table_after(&line);
            }
        }
        self.last = line;
    }

    fn table_after(&self, line: &str) -> Option<String> {
        let is_row = self.fence.is_none() && line.contains('|');
        match &self.table {
            Some(head) => is_row.then(|| head.clone()),
            None if is_row && is_ruler(line) && self.last.contains('|') => Some(format!("{}\n{line}\n", self.last)),
            None => None,
        }
    }
}

/// Whether a line is the one under the heading of a table.
fn is_ruler(line: &str) -> bool {
    line.contains('-') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ' | '\t'))
}
