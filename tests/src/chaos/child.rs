//! A child process that misbehaves as it is told.

use std::{fs, path::PathBuf, sync::Arc};

use omni_core::mcp::{Connector, stdio::StdioServer};
use serde_json::Value;
use tempfile::TempDir;

use crate::parts::{Parts, base_env};

const SCRIPT: &str = include_str!("child.js");

/// What is told to a child, and what it tells.
#[derive(Debug)]
pub struct Child {
    dir: TempDir,
}

impl Child {
    /// A child that behaves well.
    ///
    /// # Panics
    /// Where nothing can be written; so for all of these.
    #[must_use]
    pub fn new() -> Self {
        let child = Self { dir: TempDir::new().unwrap() };
        fs::write(child.path("child.js"), SCRIPT).unwrap();
        fs::write(child.path("announce"), "").unwrap();
        child
    }

    /// A child that behaves so: see the script.
    #[must_use]
    pub fn that(orders: Value) -> Self {
        let child = Self::new();
        child.behave(orders);
        child
    }

    /// From now on, also for those that are started later.
    pub fn behave(&self, orders: Value) {
        fs::write(self.path("orders.next"), orders.to_string()).unwrap();
        fs::rename(self.path("orders.next"), self.path("orders")).unwrap();
    }

    /// Has it say that its tools changed.
    pub fn announce(&self) {
        fs::write(self.path("announce"), uuid::Uuid::new_v4().to_string()).unwrap();
    }

    /// How to start it.
    #[must_use]
    pub fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(StdioServer::new(Parts::find().node()).with_args(self.args()).with_base_env(base_env()))
    }

    /// The arguments of its program, which is node.
    #[must_use]
    pub fn args(&self) -> [String; 2] {
        [self.path("child.js").display().to_string(), self.dir.path().display().to_string()]
    }

    /// How often a message of this method came.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        self.read("seen").lines().filter(|seen| *seen == method).count()
    }

    /// Those that were started, in order.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.read("pids").lines().map(|pid| pid.parse().unwrap()).collect()
    }

    /// The one that was started last.
    #[must_use]
    pub fn pid(&self) -> u32 {
        *self.pids().last().unwrap()
    }

    /// The child of the one that was started last.
    #[must_use]
    pub fn grandchild(&self) -> u32 {
        self.read("grandchild").parse().unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Default for Child {
    fn default() -> Self {
        Self::new()
    }
}
