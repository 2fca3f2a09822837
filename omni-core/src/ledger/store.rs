//! Which store a file of the ledger belongs to.

use std::{fmt, path::Path};

use sha2::{Digest as _, Sha256};

use crate::audit::AuditSink;
use crate::hex::to_hex;

/// Names a store in files' names without telling where it is: 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreTag {
    name: String,
    /// The name by its whole place, which files may bear as well.
    whole: Option<String>,
}

impl StoreTag {
    /// The tag of a sink that says where it is, for files in a directory. A store that lies in there goes with them
    /// where the directory goes, so its place in there is what counts.
    pub(crate) fn of(sink: &dyn AuditSink, dir: Option<&Path>) -> Option<Self> {
        let place = sink.place()?;
        Some(match dir.and_then(|dir| within(dir, &place)) {
            Some(inside) => Self { name: digits(&inside), whole: Some(digits(&place)) },
            None => Self { name: digits(&place), whole: None },
        })
    }

    /// A tag as it stands in a file's name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_tag = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_tag.then(|| Self { name: text.to_owned(), whole: None })
    }

    /// The names that its files may bear, its own first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [Some(&*self.name), self.whole.as_deref()].into_iter().flatten()
    }

    /// Whether a tag that stands in a file's name is this one.
    pub(crate) fn is(&self, named: &Self) -> bool {
        self.names().any(|name| name == named.name)
    }
}

fn digits(place: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(place).into();
    to_hex(digest)[..16].to_owned()
}

/// The place of a file as its directory sees it; `None` for what lies elsewhere.
fn within(dir: &Path, place: &str) -> Option<String> {
    let (kind, path) = place.split_once(':')?;
    let dir = dir.canonicalize().ok()?;
    let inside = Path::new(path).strip_prefix(dir).ok()?;
    Some(format!("{kind}:./{}", inside.display()))
}

impl fmt::Display for StoreTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Whether both are known, and what a file's name says is not this store.
pub(crate) fn differ(named: Option<&StoreTag>, store: Option<&StoreTag>) -> bool {
    matches!((named, store), (Some(named), Some(store)) if !store.is(named))
}
