//! The Slack door of omni.
//!
//! [`Bot`] takes in what Slack delivers, as an [`Intake`]; [`serve`] brings it together with Slack over sockets
//! or signed requests; [`run`] is the whole program, and
//! [`run_fake`] the same in a terminal, without Slack. A bot is a value: two of them live in one process.
//!
//! Slack is known by [`SlackPort`] alone, which calls methods, and by whatever hands deliveries over. What comes in
//! is read in `event`, who it is from is found out in `people`, what they wrote is read in `markup`, and what it asks for
//! is done in `bot`, later: Slack is answered at once. What people are shown is made in [`view`], from plain data and
//! without looking at anything.

mod api;
mod bot;
mod channels;
mod event;
mod fake;
mod known;
pub mod manifest;
mod markup;
mod people;
mod port;
mod schedule;
mod scopes;
mod serve;
pub mod signed;
pub mod view;
mod words;

pub use bot::Bot;
pub use fake::{Terminal, run_fake};
pub use people::Me;
pub use port::{Ack, Delivery, DeliveryKind, EventSource, Intake, Pulse, SlackError, SlackPort};
pub use schedule::Clock;
pub use scopes::{Scopes, scopes};
pub use serve::{BotError, Timing, examine, run, serve, serve_with};
