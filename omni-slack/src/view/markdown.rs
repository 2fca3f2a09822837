//! Markdown of models and tools, made fit for Slack.
//!
//! There are two ways. Slack's own Markdown (streams and `markdown` blocks) gets the text as it is, line by line, with
//! what would call people or hide an address parted or written out: [`neutral`], [`Neutral`]. Everything else gets
//! mrkdwn, written anew from what the Markdown means: [`mrkdwn`]. Both are split by [`split`].

mod cursor;
mod fence;
mod link;
mod mrkdwn;
mod neutral;
mod seams;
mod split;
mod table;

pub use link::web;
pub use mrkdwn::mrkdwn;
pub use neutral::{Neutral, neutral};
pub use seams::Seams;
pub(crate) use split::cut;
pub use split::{Piece, split};

#[cfg(test)]
mod tests;
