//! A stream of Slack's, which takes so much and no more: what is sent of it, and when the next one begins.
//!
//! [`Roller`] takes text as models write it, in any pieces, and cards; it gives [`Batch`]es of chunks. What a batch
//! brings counts once Slack has taken it ([`Roller::sent`]); what a dead stream did not take comes again in the next
//! one ([`Roller::lost`]), and where there is none, [`Roller::rest`] gives all of it back.

use std::mem;

use serde_json::Value;

use super::{
    limits::{MARKDOWN, width},
    markdown::{Neutral, Seams, cut},
    task::{self, Card},
};

/// A stream is ended before it has so much, in bytes; details and results of cards count twice.
pub const FULL: usize = 9_000;
/// Room for what closes a stream's text.
const CLOSING: usize = 100;
/// Most text of one chunk.
const CHUNK: usize = MARKDOWN / 2;
/// Cards are sent at most so many at once.
const CARDS: usize = 20;

/// What is sent at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The chunks of `chat.startStream` or `chat.appendStream`; none where only the stream has to be ended.
    pub chunks: Vec<Value>,
    /// Whether the stream is full with them: it is stopped, and what follows goes into a new one.
    pub rolls: bool,
}

/// How full a stream is, and what is open in it.
#[derive(Debug, Clone, Default)]
struct Stream {
    seams: Seams,
    weight: usize,
    /// Whether something was sent in it.
    has_begun: bool,
}

/// A batch on its way.
#[derive(Debug, Clone)]
struct Underway {
    batch: Batch,
    text: usize,
    cards: usize,
    /// How it is once Slack has taken it.
    after: Stream,
}

/// Fills one stream after the other.
#[derive(Debug, Clone, Default)]
pub struct Roller {
    neutral: Neutral,
    stream: Stream,
    /// What Slack has not taken: safe text, and cards.
    text: String,
    cards: Vec<Card>,
    underway: Option<Box<Underway>>,
}

impl Roller {
    /// One that has nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// More text, raw.
    pub fn text(&mut self, piece: &str) {
        let safe = self.neutral.feed(piece);
        self.text.push_str(&safe);
    }

    /// A card, new or changed.
    pub fn card(&mut self, card: Card) {
        let sent = self.underway.as_ref().map_or(0, |underway| underway.cards);
        match self.cards.iter_mut().skip(sent).find(|known| known.id == card.id) {
            // Of a call that came and went in between only the end is told.
            Some(known) => {
                let details = card.details.clone().or_else(|| known.details.take());
                *known = Card { details, ..card };
            }
            None => self.cards.push(card),
        }
    }

    /// No more text follows: what was held back comes as well.
    pub fn finish(&mut self) {
        let safe = self.neutral.finish();
        self.text.push_str(&safe);
    }

    /// How much text waits.
    #[must_use]
    pub fn waiting(&self) -> usize {
        width(&self.text)
    }

    /// Whether anything waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.text.is_empty() || !self.cards.is_empty()
    }

    /// What is to be sent now; nothing where nothing waits. Until [`Roller::sent`] or [`Roller::lost`] is called it is
    /// the same again. Of what waits it is as much as fits: there may be more batches at once.
    pub fn batch(&mut self) -> Option<Batch> {
        if self.underway.is_none() {
            self.underway = self.fill().map(Box::new);
        }
        self.underway.as_ref().map(|underway| underway.batch.clone())
    }

    /// Slack took the last batch.
    pub fn sent(&mut self) {
        let Some(underway) = self.underway.take() else { return };
        self.text.drain(..underway.text);
        self.cards.drain(..underway.cards);
        self.stream = underway.after;
        if underway.batch.rolls {
            self.begin();
        }
    }

    /// Slack wants the last batch later: what comes meanwhile goes with it.
    pub fn postponed(&mut self) {
        self.underway = None;
    }

    /// All text that Slack has not taken, what was held back as well, to be told in another way: safe, and with what was
    /// open opened again. Nothing waits any more.
    pub fn rest(&mut self) -> String {
        self.finish();
        self.underway = None;
        self.cards.clear();
        let text = mem::take(&mut self.text);
        if text.trim().is_empty() { String::new() } else { self.stream.seams.reopen() + &text }
    }

    /// The stream is gone, and the last batch with it: it comes again in a new one.
    pub fn lost(&mut self) {
        self.underway = None;
        self.begin();
    }

    /// The stream is ended, as it is too old: what follows goes into a new one. What closes its text, if anything.
    pub fn roll(&mut self) -> Option<Value> {
        self.underway = None;
        let close = self.stream.seams.close();
        self.begin();
        (!close.is_empty()).then(|| task::markdown(&close))
    }

    fn begin(&mut self) {
        self.stream.weight = 0;
        self.stream.has_begun = false;
    }

    fn fill(&self) -> Option<Underway> {
        if !self.is_waiting() {
            return None;
        }
        let mut after = self.stream.clone();
        let mut chunks = Vec::new();
        for card in self.cards.iter().take(CARDS) {
            let chunk = card.chunk();
            let weight = weight(&chunk);
            if after.weight + weight > FULL {
                break;
            }
            after.weight += weight;
            chunks.push(chunk);
        }
        let cards = chunks.len();
        let mut rolls = cards < self.cards.len().min(CARDS);
        let mut text = 0;
        if !rolls && !self.text.is_empty() {
            let piece = piece(&self.text, &mut after);
            (text, rolls) = (piece.taken, piece.is_last);
            chunks.extend((!piece.text.is_empty()).then(|| task::markdown(&piece.text)));
        } else if rolls {
            let close = after.seams.close();
            chunks.extend((!close.is_empty()).then(|| task::markdown(&close)));
        }
        after.has_begun = true;
        Some(Underway { batch: Batch { chunks, rolls }, text, cards, after })
    }
}

/// A piece of text for a stream.
struct Piece {
    text: String,
    taken: usize,
    is_last: bool,
}

/// What of a text has room.
fn piece(waits: &str, stream: &mut Stream) -> Piece {
    let open = if stream.has_begun { String::new() } else { stream.seams.reopen() };
    let room = FULL.saturating_sub(stream.weight + open.len() + CLOSING);
    let most = room.min(CHUNK);
    let fits = waits.len() <= most;
    let taken = if fits { waits.len() } else { fitting(waits, most, &stream.seams) };
    let is_last = !fits && room <= CHUNK;
    let body = &waits[..taken];
    stream.seams.feed(body);
    stream.weight += open.len() + body.len();
    let close = if is_last { stream.seams.close() } else { String::new() };
    let text = if body.is_empty() { close } else { format!("{open}{body}{close}") };
    Piece { text, taken, is_last }
}

/// A cut after which no more than so many bytes are taken.
fn fitting(text: &str, room: usize, seams: &Seams) -> usize {
    if room < 200 {
        return 0;
    }
    let mut wanted = room;
    loop {
        let end = cut(text, wanted, seams);
        if end <= room || wanted < 50 {
            return end.min(text.floor_char_boundary(room));
        }
        wanted = wanted * room / end;
    }
}

fn weight(chunk: &Value) -> usize {
    let bytes = |key: &str| chunk[key].as_str().map_or(0, str::len);
    bytes("title") + 2 * (bytes("details") + bytes("output"))
}

#[cfg(test)]
mod tests;
