//! The stand-in for Slack behaves as Slack does: else the tests that rely on it prove nothing.

mod blocks;
mod bolt;
mod bot;
mod calls;
mod faults;
mod http;
mod modals;
mod people;
mod rates;
mod sockets;
mod streams;
