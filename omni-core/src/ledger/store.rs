//! Which store a file of the ledger belongs to.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::audit::AuditSink;
use crate::hex::to_hex;

/// Names a store in files' names without telling where it is: 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreTag(String);

impl StoreTag {
    /// The tag of a sink that says where it is.
    pub(crate) fn of(sink: &dyn AuditSink) -> Option<Self> {
        let digest: [u8; 32] = Sha256::digest(sink.place()?).into();
        Some(Self(to_hex(digest)[..16].to_owned()))
    }

    /// A tag as it stands in a file's name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_tag = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_tag.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for StoreTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether both are known, and are not the same store.
pub(crate) fn differ(one: Option<&StoreTag>, other: Option<&StoreTag>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}
