//! What a server needs while nobody asks for it: one task for each server that was ever needed.
//!
//! What is to be done next is decided without doing anything ([`Tender::next`]), from what the
//! server's condition is.

use std::{
    future::pending,
    sync::{Arc, Weak},
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    connection::{Connection, Link},
    jitter::spread,
    server::Server,
};
use crate::{
    clock,
    mcp::{McpEvent, ServerOptions},
};

/// Changes that come together are listed together.
const SETTLE: Duration = Duration::from_millis(100);

/// How long after a list the next change is listed at the soonest. It grows with every change after
/// which nothing was another than before.
const GAP: Duration = Duration::from_millis(250);
const GAP_AT_MOST: Duration = Duration::from_secs(30);

/// How long a server may take to show that it lives, as the pool itself asks.
const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// A server as its tender sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition {
    /// When it may be looked at, where it is to be left alone until then.
    pub(super) look_at: Option<Instant>,
    pub(super) refresh_at: Option<Instant>,
    pub(super) is_asleep: bool,
    /// Whether its tools are known as it has them now, and as it had them when it was last asked.
    pub(super) is_listed: bool,
    pub(super) was_listed: bool,
    pub(super) link: Option<Link>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chore {
    /// Find out what there is to find out.
    Look,
    /// Ask whether it lives.
    Check,
    /// Ask for its tools although nothing is new.
    Refresh,
    /// Close a connection that nobody uses.
    Close,
}

/// Listens to a server, and does what is to be done, for as long as there is one. `woken` is told
/// whenever the server's condition changed.
pub(super) async fn tend(server: Weak<Server>, woken: Arc<Notify>) {
    let (mut bell, mut tender) = (Bell::default(), Tender::new());
    loop {
        let next = {
            let Some(server) = server.upgrade() else { return };
            bell.follow(server.present());
            tender.next(&server.condition(), server.options(), Instant::now())
        };
        let due = async {
            match next {
                Some((at, _)) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = woken.notified() => continue,
            () = bell.rung() => continue,
            () = due => {}
        }
        let (Some(server), Some((_, chore))) = (server.upgrade(), next) else { continue };
        tender.act(&server, chore).await;
    }
}

/// What one tender remembers.
#[derive(Debug)]
struct Tender {
    /// When it noticed that there is something to look at.
    noticed: Option<Instant>,
    /// When it may look because of a change.
    change_at: Instant,
    gap: Duration,
    /// When it may look again, whatever there is to see.
    again_at: Instant,
    /// Somewhere around one: what was connected together is not asked together.
    share: f64,
}

impl Tender {
    fn new() -> Self {
        let share = spread(Duration::from_secs(1)).as_secs_f64();
        let now = Instant::now();
        Self { noticed: None, change_at: now, gap: GAP, again_at: now, share }
    }

    /// What is to be done next, and when.
    fn next(&mut self, server: &Condition, options: &ServerOptions, now: Instant) -> Option<(Instant, Chore)> {
        let not_before = |at: Instant| server.look_at.map_or(at, |look_at| at.max(look_at));
        let look = self.look_at(server, now).map(|at| (not_before(at), Chore::Look));
        let refresh = server.refresh_at.map(|at| (not_before(at), Chore::Refresh));
        let link = server.link.filter(|link| link.is_alive);
        let check = link.and_then(|link| self.check_at(&link, options, now)).map(|at| (not_before(at), Chore::Check));
        let close = link.and_then(|link| close_at(&link, options)).map(|at| (at, Chore::Close));
        // What comes first here is done first: looking checks as well.
        [look, check, close, refresh].into_iter().flatten().min_by_key(|(at, _)| (*at).max(now))
    }

    fn look_at(&mut self, server: &Condition, now: Instant) -> Option<Instant> {
        let is_known = server.is_listed && server.link.is_none_or(|link| link.is_alive);
        if is_known || (server.link.is_none() && server.is_asleep) {
            self.noticed = None;
            return None;
        }
        let noticed = *self.noticed.get_or_insert(now);
        let at = match server.link {
            Some(link) if link.is_alive && server.was_listed => (noticed + SETTLE).max(self.change_at),
            Some(_) => noticed,
            // Whoever could not connect tries again by themselves.
            None => noticed + GAP,
        };
        Some(at.max(self.again_at))
    }

    fn check_at(&self, link: &Link, options: &ServerOptions, now: Instant) -> Option<Instant> {
        if link.is_doubted {
            return Some(now);
        }
        let every = options.keep_alive?;
        Some(clock::after(link.heard_at, every.min(clock::FAR).mul_f64(self.share)))
    }

    async fn act(&mut self, server: &Server, chore: Chore) {
        match chore {
            Chore::Look => {
                self.noticed = None;
                let before = server.version();
                server.look().await;
                self.gap = match server.version() == before {
                    true => (self.gap * 2).min(GAP_AT_MOST),
                    false => GAP,
                };
                let now = Instant::now();
                (self.change_at, self.again_at) = (now + self.gap, now + SETTLE);
            }
            Chore::Check => server.check(Instant::now() + CHECK_WITHIN).await,
            Chore::Refresh => server.discover(Some(server.begun()), None).await,
            Chore::Close => server.fall_asleep().await,
        }
    }
}

/// When a connection is closed that nobody uses.
fn close_at(link: &Link, options: &ServerOptions) -> Option<Instant> {
    let idle_since = link.idle_since?;
    let idle = options.idle_close.map(|wait| clock::after(idle_since, wait));
    let old = options.max_age.map(|age| clock::after(link.made_at, age).max(idle_since));
    idle.into_iter().chain(old).min()
}

/// Rings when something was said on the present connection. What it was, the connection knows.
#[derive(Default)]
struct Bell {
    of: Option<u64>,
    events: Option<BoxStream<'static, McpEvent>>,
}

impl Bell {
    fn follow(&mut self, connection: Option<Arc<Connection>>) {
        let number = connection.as_ref().map(|connection| connection.number());
        if self.of != number {
            self.events = connection.map(|connection| connection.transport.events());
            self.of = number;
        }
    }

    async fn rung(&mut self) {
        loop {
            let Some(events) = &mut self.events else { return pending().await };
            match events.next().await {
                Some(McpEvent::Log { .. } | McpEvent::ResourceUpdated { .. }) => {}
                Some(McpEvent::ToolsChanged | McpEvent::PromptsChanged | McpEvent::ResourcesChanged) => return,
                Some(McpEvent::Closed { .. }) | None => {
                    self.events = None;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
