//! What the integration tests share: stand-ins for vendors, and where the real parts are.

pub mod vendor;
