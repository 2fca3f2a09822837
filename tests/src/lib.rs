//! What the integration tests share: stand-ins for vendors and servers, and where the real parts are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "all of this is test code"
)]

pub mod agent;
pub mod authority;
pub mod balancer;
pub mod browser;
pub mod chaos;
pub mod collector;
pub mod door;
pub mod fixture;
pub mod github;
pub mod issuer;
pub mod log;
pub mod loopback;
pub mod mariadb;
pub mod office;
pub mod own_database;
pub mod parts;
pub mod postgres;
pub mod program;
pub mod recorder;
pub mod rig;
pub mod scrape;
pub mod screen;
pub mod server;
pub mod service;
pub mod slack;
pub mod tied;
pub mod vendor;
pub mod wire;
