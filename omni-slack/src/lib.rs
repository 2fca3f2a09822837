//! The Slack door of omni.

mod api;
mod event;
mod people;
mod port;

pub use people::Me;
pub use port::{Ack, Delivery, DeliveryKind, EventSource, Intake, SlackError, SlackPort};
