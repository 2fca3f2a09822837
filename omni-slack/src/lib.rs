//! The Slack door of omni: a small adapter over `omni-core`. It is not built yet.

pub mod view;
