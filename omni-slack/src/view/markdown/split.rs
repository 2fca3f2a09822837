//! Long text in pieces that each can be read alone.

use super::{cursor, seams::Seams};
use crate::view::limits::{prefix, width};

/// Room for what closes a piece.
const CLOSING: usize = 48;
/// Pieces are no shorter than this, whatever is asked for.
const MIN: usize = 200;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The piece, with what opens again and closes what was open at its seams.
    pub text: String,
    opened: usize,
    closed: usize,
}

impl Piece {
    /// What it has of the text itself. All of them together are the text.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.text[self.opened..self.text.len() - self.closed]
    }
}

/// A text in pieces of at most `max`, cut where it hurts least: before headings, between paragraphs, rows and lines.
/// Code and tables are closed and opened again. No text, no piece.
#[must_use]
pub fn split(text: &str, max: usize) -> Vec<Piece> {
    let max = max.max(MIN);
    let (mut pieces, mut rest, mut seams) = (Vec::new(), text, Seams::default());
    while !rest.is_empty() {
        let open = Some(seams.reopen()).filter(|open| width(open) <= max / 3).unwrap_or_default();
        let room = max - width(&open);
        let end = if width(rest) <= room { rest.len() } else { cut(rest, room - CLOSING, &seams) };
        let (body, after) = rest.split_at(end);
        seams.feed(body);
        let close = if after.is_empty() { String::new() } else { seams.close() };
        pieces.push(Piece { text: format!("{open}{body}{close}"), opened: open.len(), closed: close.len() });
        rest = after;
    }
    pieces
}

/// At which byte a text is best cut that is longer than `room`; `seams` is what is open before it.
pub(crate) fn cut(text: &str, room: usize, seams: &Seams) -> usize {
    let end = prefix(text, room);
    let fits = &text[..end];
    let mut seams = seams.clone();
    let (mut good, mut fair, mut poor, mut at) = (0, 0, 0, 0);
    for line in fits.split_inclusive('\n') {
        let is_begin = at > 0;
        if is_begin && seams.is_clear() {
            if seams.is_after_gap() || line.starts_with('#') { good = at } else { fair = at }
        } else if is_begin {
            poor = at;
        }
        at += line.len();
        seams.feed(line);
    }
    if fits.ends_with('\n') {
        poor = end;
    }
    let far = end / 5 * 2;
    [good, fair, poor, fair.max(good)]
        .into_iter()
        .find(|&at| at > far)
        .or(Some(poor.max(fair).max(good)).filter(|&at| at > end / 8))
        .unwrap_or_else(|| within(text, end))
}

/// A cut within a line: after a word, outside of links; or anywhere, but in no entity, and not where a link would stay
/// without what says where it leads.
fn within(text: &str, end: usize) -> usize {
    let fits = &text[..end];
    let line = fits.rfind('\n').map_or(0, |at| at + 1);
    if let Some(seam) = cursor::seam(&fits[line..]).filter(|&seam| line + seam > 0) {
        return line + seam;
    }
    let entity = fits.rfind('&').filter(|&at| at + 10 > end && !fits[at..].contains(';'));
    let link = fits.rfind([')', '>']).filter(|&at| text[at + 1..].starts_with(" ("));
    match entity.or(link).filter(|&at| at > 0) {
        Some(at) => at,
        None if end > 0 => end,
        None => text.chars().next().map_or(0, char::len_utf8),
    }
}
