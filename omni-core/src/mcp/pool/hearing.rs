//! Resources whose changes somebody wants to be told of: who it is, and until when the server has to tell.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::Notify;

use super::server::Server;
use crate::{identity::TokenDigest, mcp::CallContext};

/// Most resources of one server of which somebody is told.
const MOST: usize = 1_000;
/// Most of them of which one person is told, so that nobody takes everybody's room.
const MOST_EACH: usize = MOST / 4;

/// What is told of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It may hold something else now.
    Updated,
    /// Its server is another one now, or the token has ended by which it was asked: whoever still wants to be told
    /// subscribes again.
    Lost,
}

/// Hears of the resources that it was subscribed to. What comes faster than it is taken is told once.
#[derive(Debug, Default)]
pub struct Hearing {
    told: Mutex<BTreeMap<String, Heard>>,
    woken: Notify,
}

impl Hearing {
    /// Waits for the next resource. Dropping the future loses nothing.
    pub async fn next(&self) -> (String, Heard) {
        loop {
            if let Some(heard) = self.told().pop_first() {
                return heard;
            }
            self.woken.notified().await;
        }
    }

    pub(super) fn tell(&self, uri: &str, heard: Heard) {
        let mut told = self.told();
        // What was lost stays so.
        if told.get(uri) != Some(&Heard::Lost) {
            told.insert(uri.to_owned(), heard);
        }
        drop(told);
        self.woken.notify_one();
    }

    fn told(&self) -> MutexGuard<'_, BTreeMap<String, Heard>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose connection, and which resource.
type Key = (Option<TokenDigest>, String);

/// Who wants to hear, in however many sessions: the tenant and the subject. `None` is omni itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner(Option<(String, String)>);

impl Owner {
    /// On whose behalf a request is made.
    pub(super) fn of(cx: &CallContext) -> Self {
        Self(cx.principal.as_ref().map(|principal| (principal.tenant.clone(), principal.subject.clone())))
    }
}

/// One of those who are told of a resource.
struct Hearer {
    owner: Owner,
    hearing: Arc<Hearing>,
}

/// One resource's hearers.
#[derive(Default)]
struct Entry {
    hearers: HashMap<u64, Hearer>,
    /// The connection on which the server was last told that somebody wants to know.
    asked_on: Option<u64>,
}

/// All who are told of one server's resources.
#[derive(Default)]
pub(super) struct Hearers(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    next: u64,
}

impl Hearers {
    /// One more; `None` where there are too many resources, or too many of this one's.
    pub(super) fn add(
        &self,
        lane: Option<TokenDigest>,
        uri: &str,
        owner: Owner,
        hearing: &Arc<Hearing>,
    ) -> Option<u64> {
        let mut inner = self.inner();
        let key = (lane, uri.to_owned());
        if inner.entries.len() >= MOST && !inner.entries.contains_key(&key) {
            return None;
        }
        let is_its = |entry: &Entry| entry.hearers.values().any(|hearer| hearer.owner == owner);
        let has_this = inner.entries.get(&key).is_some_and(is_its);
        if !has_this && inner.entries.values().filter(|entry| is_its(entry)).count() >= MOST_EACH {
            return None;
        }
        inner.next += 1;
        let id = inner.next;
        let hearer = Hearer { owner, hearing: hearing.clone() };
        inner.entries.entry(key).or_default().hearers.insert(id, hearer);
        Some(id)
    }

    /// One less; whether it was the last that wanted to hear of the resource.
    pub(super) fn remove(&self, lane: Option<TokenDigest>, uri: &str, id: u64) -> bool {
        let mut inner = self.inner();
        let key = (lane, uri.to_owned());
        let Some(entry) = inner.entries.get_mut(&key) else { return false };
        entry.hearers.remove(&id);
        let is_last = entry.hearers.is_empty();
        if is_last {
            inner.entries.remove(&key);
        }
        is_last
    }

    pub(super) fn wants(&self, lane: Option<TokenDigest>, uri: &str) -> bool {
        self.inner().entries.contains_key(&(lane, uri.to_owned()))
    }

    pub(super) fn has_any(&self, lane: Option<TokenDigest>) -> bool {
        self.inner().entries.keys().any(|(own, _)| *own == lane)
    }

    /// The server was told on this connection.
    pub(super) fn asked(&self, lane: Option<TokenDigest>, uri: &str, connection: u64) {
        if let Some(entry) = self.inner().entries.get_mut(&(lane, uri.to_owned())) {
            entry.asked_on = Some(connection);
        }
    }

    /// What the server was told on another connection than this one.
    pub(super) fn asked_before(&self, lane: Option<TokenDigest>, connection: u64) -> Vec<String> {
        let inner = self.inner();
        let of_lane = inner.entries.iter().filter(|((own, _), _)| *own == lane);
        let before = of_lane.filter(|(_, entry)| entry.asked_on.is_some_and(|on| on != connection));
        before.map(|((_, uri), _)| uri.clone()).collect()
    }

    /// Tells those who hear of a resource on this connection, and nobody else. Up to 2025-11-25 what changed may be a
    /// part of what they subscribed to; they know nothing of parts.
    pub(super) fn tell(&self, lane: Option<TokenDigest>, uri: &str) {
        let inner = self.inner();
        let hear_of_it = inner.entries.iter().filter(|((own, whole), _)| *own == lane && is_within(uri, whole));
        for ((_, whole), entry) in hear_of_it {
            entry.hearers.values().for_each(|hearer| hearer.hearing.tell(whole, Heard::Updated));
        }
    }

    /// Nothing more comes on a connection.
    pub(super) fn lose(&self, lane: Option<TokenDigest>) {
        self.lose_where(|own| own == lane);
    }

    pub(super) fn lose_all(&self) {
        self.lose_where(|_| true);
    }

    fn lose_where(&self, is_lost: impl Fn(Option<TokenDigest>) -> bool) {
        self.inner().entries.retain(|(lane, uri), entry| {
            let is_lost = is_lost(*lane);
            if is_lost {
                entry.hearers.values().for_each(|hearer| hearer.hearing.tell(uri, Heard::Lost));
            }
            !is_lost
        });
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a resource is another one, or a part of it.
fn is_within(uri: &str, whole: &str) -> bool {
    let rest = uri.strip_prefix(whole);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || whole.ends_with('/'))
}

/// Somebody wants to be told of a resource, for as long as this lives. When the last of them ends, the server need
/// tell no more.
pub struct Subscription {
    pub(super) server: Weak<Server>,
    pub(super) name: Arc<str>,
    pub(super) lane: Option<TokenDigest>,
    pub(super) uri: String,
    pub(super) id: u64,
}

impl Subscription {
    /// Whose resource it is.
    #[must_use]
    pub fn server(&self) -> &Arc<str> {
        &self.name
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(server) = self.server.upgrade() {
            server.hears_no_more(self.lane, &self.uri, self.id);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("server", &self.name).field("uri", &self.uri).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;
    use crate::identity::{Principal, Via};

    /// Somebody, as their requests name them.
    fn owner(subject: &str) -> Owner {
        Owner::of(&CallContext::within(Duration::ZERO).with_principal(Principal::new(subject, Via::ApiKey)))
    }

    #[tokio::test]
    async fn what_changes_often_is_told_once_and_each_resource_by_itself() {
        let (hearers, hearing) = (Hearers::default(), Arc::new(Hearing::default()));
        hearers.add(None, "a", owner("ann"), &hearing).unwrap();
        hearers.add(None, "b", owner("ann"), &hearing).unwrap();
        for uri in ["a", "b", "a", "a", "c"] {
            hearers.tell(None, uri);
        }
        assert_eq!(hearing.next().await, ("a".into(), Heard::Updated));
        assert_eq!(hearing.next().await, ("b".into(), Heard::Updated));
        assert!(hearing.next().now_or_never().is_none());
    }

    #[tokio::test]
    async fn what_changes_within_a_resource_is_told_as_a_change_of_it() {
        let (hearers, hearing) = (Hearers::default(), Arc::new(Hearing::default()));
        for uri in ["file:///plan", "file:///plan/", "file:///plan/b", "file:///pl", "file:///plan/a/1"] {
            hearers.add(None, uri, owner("ann"), &hearing).unwrap();
        }
        hearers.tell(None, "file:///plan/a");
        assert_eq!(hearing.next().await, ("file:///plan".into(), Heard::Updated));
        assert_eq!(hearing.next().await, ("file:///plan/".into(), Heard::Updated));
        assert!(hearing.next().now_or_never().is_none());
    }

    #[test]
    fn the_last_that_ends_is_told_from_those_before() {
        let (hearers, hearing) = (Hearers::default(), Arc::new(Hearing::default()));
        let ids = [1, 2].map(|_| hearers.add(None, "a", owner("ann"), &hearing).unwrap());
        assert!(!hearers.remove(None, "a", ids[0]) && hearers.wants(None, "a"));
        assert!(hearers.remove(None, "a", ids[1]) && !hearers.wants(None, "a"));
        assert!(!hearers.remove(None, "a", ids[1]));
    }

    #[test]
    fn resources_are_bounded() {
        let hearers = Hearers::default();
        let add = |uri: &str, subject: &str| hearers.add(None, uri, owner(subject), &Arc::default());
        for number in 0..MOST {
            add(&number.to_string(), &number.to_string()).unwrap();
        }
        assert!(add("one more", "somebody else").is_none());
        assert!(add("7", "somebody else").is_some(), "the server tells of it already");
    }

    #[test]
    fn somebody_with_four_sessions_has_no_more_room_than_with_one() {
        let hearers = Hearers::default();
        let sessions = [(); 4].map(|()| Arc::new(Hearing::default()));
        let add = |uri: &str, subject: &str, session: usize| hearers.add(None, uri, owner(subject), &sessions[session]);
        for number in 0..MOST_EACH {
            add(&number.to_string(), "ann", number % 4).unwrap();
        }
        assert!((0..4).all(|session| add("one more", "ann", session).is_none()));
        assert!(add("7", "ann", 0).is_some(), "the server tells her of it already");
        assert!(add("one more", "bob", 0).is_some(), "nobody takes everybody's room");
    }

    #[tokio::test]
    async fn one_persons_connection_tells_nobody_else() {
        let key = |text: &str| {
            let token = crate::identity::CallerToken::new(text.into(), Vec::new(), std::time::SystemTime::now());
            Some(token.digest())
        };
        let (hearers, ann, bob) = (Hearers::default(), Arc::new(Hearing::default()), Arc::new(Hearing::default()));
        hearers.add(key("ann"), "a", owner("ann"), &ann).unwrap();
        hearers.add(key("bob"), "a", owner("bob"), &bob).unwrap();
        hearers.tell(key("ann"), "a");
        assert_eq!(ann.next().await, ("a".into(), Heard::Updated));
        assert!(bob.next().now_or_never().is_none());
        hearers.lose(key("bob"));
        assert_eq!(bob.next().await, ("a".into(), Heard::Lost));
        assert!(hearers.has_any(key("ann")) && !hearers.has_any(key("bob")));
    }
}
