//! What a pool publishes: the newest snapshot of its servers, and that there is one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::{listing, server::Server};
use crate::{catalog::Catalog, metrics};

/// What a pool and those that follow it have in common.
#[derive(Debug)]
pub(super) struct Board {
    /// The newest version that any of them gave to a snapshot: no two snapshots have the same.
    version: AtomicU64,
    /// How many pools there were.
    pools: AtomicU64,
    /// Which of them is the one in use.
    in_use: AtomicU64,
    changes: watch::Sender<u64>,
    /// Told of every answer of a server.
    answered: Arc<Notify>,
}

impl Board {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            version: 0.into(),
            pools: 0.into(),
            in_use: 1.into(),
            changes: watch::Sender::new(1),
            answered: Arc::default(),
        })
    }

    fn next_version(&self) -> u64 {
        self.version.fetch_add(1, SeqCst) + 1
    }
}

/// What a discovery needs that goes on after whoever asked for it has gone.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) servers: BTreeMap<String, Arc<Server>>,
    catalog: ArcSwap<Catalog>,
    /// Held while a snapshot is put together and published, never across an await: how many answers
    /// of servers the newest one holds.
    publishing: Mutex<u64>,
    board: Arc<Board>,
    /// Which of the board's pools this is.
    number: u64,
}

impl Shared {
    /// Servers may be another pool's as well; whatever they answer from now on is published here too.
    pub(super) fn new(servers: BTreeMap<String, Arc<Server>>, board: Arc<Board>) -> Arc<Self> {
        let views = servers.values().map(|server| server.view()).collect();
        let catalog = ArcSwap::from_pointee(Catalog::new(board.next_version(), views));
        let number = board.pools.fetch_add(1, SeqCst) + 1;
        let shared = Arc::new(Self { servers, catalog, publishing: Mutex::default(), board, number });
        for server in shared.servers.values() {
            server.tell(Arc::downgrade(&shared));
        }
        // What was answered before they knew whom to tell.
        shared.put_in_place(false);
        shared
    }

    pub(super) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    pub(super) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.board.changes.subscribe()
    }

    pub(super) fn answered(&self) -> Arc<Notify> {
        self.board.answered.clone()
    }

    /// From now on this pool is the one whose changes are told.
    pub(super) fn take_over(&self) {
        self.board.in_use.store(self.number, SeqCst);
        self.put_in_place(true);
        self.board.answered.notify_one();
    }

    /// Puts a new snapshot in place. Its version grows only when something else is in it.
    pub(super) fn publish(&self) {
        self.put_in_place(false);
        self.board.answered.notify_one();
    }

    /// Publishes what a server has answered and is about to tell: whoever finds it known has to find it
    /// in the snapshot too.
    pub(super) fn catch_up(&self) {
        if self.answers() != *self.publishing.lock().unwrap_or_else(PoisonError::into_inner) {
            self.publish();
        }
    }

    fn answers(&self) -> u64 {
        self.servers.values().map(|server| server.answers()).sum()
    }

    fn put_in_place(&self, as_new: bool) {
        let mut published = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        *published = self.answers();
        let old = self.catalog.load_full();
        let mut new = Catalog::new(old.version, self.servers.values().map(|server| server.view()).collect());
        let is_new = as_new || !listing::same(&old, &new);
        if is_new {
            new.version = self.board.next_version();
        }
        let version = new.version;
        let is_in_use = self.board.in_use.load(SeqCst) == self.number;
        if is_in_use {
            metrics::servers(&new);
        }
        self.catalog.store(Arc::new(new));
        if is_new && is_in_use {
            self.board.changes.send_replace(version);
        }
    }
}
