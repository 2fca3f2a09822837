//! Servers that are used with the caller's own token: who is let through, on which connection, and for how long that
//! is kept.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{
    Server,
    lane::{Found, Lane},
};
use crate::{
    clock,
    identity::CallerToken,
    mcp::{CallContext, Listed, McpError, McpTransportExt as _, Sharing},
};

/// How long a caller's own connection stays open that nobody uses, where the configuration says nothing shorter.
const IDLE: Duration = Duration::from_secs(300);
/// How long a caller's own connection that is wanted is left alone after it could not be made, at first and at most.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_LAST: Duration = Duration::from_secs(60);

impl Server {
    /// Why nothing is sent there for whoever has this token.
    pub(in crate::mcp::pool) fn refusal(&self, token: Option<&CallerToken>) -> Option<String> {
        let Sharing::PerUser { audience } = &self.options().sharing else { return None };
        let name = self.name();
        let Some(token) = token else {
            let how = "with the caller's own token of the identity provider, and this caller came with none";
            return Some(format!("{name} is used {how}"));
        };
        token.fits(audience).err().map(|unfit| format!("{name} is used with the caller's own token: {unfit}"))
    }

    /// The way on which a request goes: everybody's, or the caller's own.
    pub(super) fn lane(&self, cx: &CallContext) -> Result<Arc<Lane>, McpError> {
        if self.options().sharing == Sharing::Shared {
            return Ok(self.shared.clone());
        }
        let token = cx.token.as_ref().filter(|token| self.refusal(Some(token)).is_none());
        match token {
            Some(token) => self.own_lane(token),
            None => Err(McpError::Unauthorized { message: self.refusal(cx.token.as_deref()).unwrap_or_default() }),
        }
    }

    fn own_lane(&self, token: &Arc<CallerToken>) -> Result<Arc<Lane>, McpError> {
        let Found { lane, is_new, gone } = self.lanes.of(token, |lane| !self.hearers.has_any(lane.key()))?;
        if let Some(gone) = gone {
            self.give_up(&gone);
        }
        if is_new {
            let kept = keep(self.me.clone(), Arc::downgrade(&lane));
            self.tasks.spawn(self.gone.clone().run_until_cancelled_owned(kept));
        }
        Ok(lane)
    }

    /// Its connection comes to its end with what runs on it.
    fn give_up(&self, lane: &Lane) {
        if let Some(connection) = lane.connection.swap(None) {
            self.retire(connection);
        }
    }

    /// Whether its tools are listed on callers' connections, because it says nothing to omni itself.
    pub(super) fn is_left_to_callers(&self) -> bool {
        self.with_listing(|listing| listing.is_left_to_callers)
    }

    /// Whether callers may be left to ask for its lists: where omni has a token of its own for that, it has to count.
    pub(super) fn may_leave_to_callers(&self) -> bool {
        self.options().sharing != Sharing::Shared && !self.entry.connector.has_discovery_token()
    }

    /// The server said nothing to omni itself: whoever comes next asks for it.
    pub(super) fn leave_to_callers(&self, refused: &McpError) {
        tracing::info!(server = %self.name, error = %refused, "a server's tools are listed on a caller's connection");
        self.with_listing(|listing| {
            listing.is_left_to_callers = true;
            listing.wait_for_caller();
        });
        self.give_up(&self.shared);
    }

    /// The tools, as whoever has this token is told them. Prompts and resources are not listed for everybody by what
    /// one person is told: their names may be that person's alone.
    pub(super) async fn list_on_own(&self, token: &Arc<CallerToken>, cx: &CallContext) -> Result<Listed, McpError> {
        let lane = self.lane(&cx.clone().with_token(Some(token.clone())))?;
        let connection = self.connected(&lane, cx.deadline).await?;
        let listed = connection.transport.list_tools(&self.name, cx).await;
        self.learn(&connection, listed.as_ref().err());
        let capabilities = connection.transport.capabilities();
        listed.map(|tools| Listed { tools, capabilities, ..Listed::default() })
    }

    /// When a caller's own connection is to be looked at next, as far as is known now.
    fn look_at_lane(&self, lane: &Lane) -> Instant {
        let now = Instant::now();
        let ends = lane.token().map_or(now, |token| now + token.lasts());
        let idle = self.idle_close();
        let due = match lane.present().map(|connection| connection.link(&self.name)) {
            Some(link) if link.is_alive && self.hearers.has_any(lane.key()) => clock::after(now, idle),
            Some(link) if link.is_alive => clock::after(link.idle_since.unwrap_or(now), idle),
            Some(_) => now,
            None => clock::after(now, idle),
        };
        due.min(ends)
    }

    fn idle_close(&self) -> Duration {
        self.options().idle_close.map_or(IDLE, |own| own.min(IDLE))
    }

    /// Does what is to be done about a caller's own connection; whether there is one to look after from now on, and
    /// whether it could not be made although it is wanted.
    async fn look_after(&self, lane: &Arc<Lane>) -> Kept {
        if lane.token().is_none_or(|token| token.lasts().is_zero()) {
            self.lanes.end(lane);
            self.give_up(lane);
            self.hearers.lose(lane.key());
            return Kept::Gone;
        }
        let is_wanted = self.hearers.has_any(lane.key());
        let link = lane.present().map(|connection| connection.link(&self.name));
        let is_idle = |since: Instant| since + self.idle_close() <= Instant::now();
        match link {
            Some(link) if link.is_alive && (is_wanted || !link.idle_since.is_some_and(is_idle)) => Kept::Well,
            _ if is_wanted => {
                let until = clock::from_now(self.options().connect_timeout);
                if self.connected(lane, until).await.is_ok() { Kept::Well } else { Kept::Away }
            }
            _ if self.lanes.leave(lane) => {
                self.give_up(lane);
                Kept::Gone
            }
            _ => Kept::Well,
        }
    }
}

enum Kept {
    Well,
    Away,
    Gone,
}

/// Looks after a caller's own connection for as long as there is one: it is closed when nobody uses it or its token
/// has ended, and made anew where somebody is to be told what changes.
async fn keep(server: Weak<Server>, lane: Weak<Lane>) {
    let mut pause = AGAIN;
    let mut not_before = Instant::now();
    loop {
        let (at, woken) = {
            let (Some(server), Some(lane)) = (server.upgrade(), lane.upgrade()) else { return };
            (server.look_at_lane(&lane).max(not_before), lane.woken.clone())
        };
        tokio::select! {
            () = sleep_until(at) => {}
            () = woken.notified() => sleep_until(not_before).await,
        }
        let (Some(server), Some(lane)) = (server.upgrade(), lane.upgrade()) else { return };
        match server.look_after(&lane).await {
            Kept::Gone => return,
            Kept::Well => pause = AGAIN,
            Kept::Away => pause = (pause * 2).min(AGAIN_AT_LAST),
        }
        not_before = Instant::now() + pause;
    }
}
