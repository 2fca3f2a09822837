//! The stand-in for Slack behaves as Slack does: else the tests that rely on it prove nothing.

mod bolt;
