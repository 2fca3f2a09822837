//! The tools of all servers beside one another: what one is called, another one may pass for or direct.
//!
//! Something new is looked at beside all names. What is pinned is looked at again beside those of pinned tools alone: a
//! name that is kept back itself has nobody else's tools kept back.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::vet::MAX_PINS;

/// How much longer a server's tools are left alone after each time that others came beside them, and at most:
/// whoever makes up names all the time has not everybody's tools looked at all the time.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_AT_MOST: Duration = Duration::from_secs(60);
/// How long the pins of all servers that were read for one are good for the next whose tools are all known: at a start
/// all servers come together.
const FRESH: Duration = Duration::from_secs(10);

/// The names that are known here, and beside which of them each server's tools were looked at.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// By server, and whether the tool is pinned.
    names: HashMap<String, HashMap<String, bool>>,
    /// Another one whenever others are pinned.
    version: u64,
    looked: HashMap<String, Looked>,
    /// When all pins were read last.
    read_at: Option<Instant>,
}

#[derive(Debug)]
struct Looked {
    version: u64,
    times: u32,
    again_at: Instant,
}

impl Others {
    /// Learns of tools, by server and name, and whether they are pinned; the version that has them.
    pub(super) fn learn(&mut self, tools: impl IntoIterator<Item = (String, String, bool)>) -> u64 {
        let mut is_news = false;
        for (server, tool, is_pinned) in tools {
            let known = self.names.entry(server).or_default();
            if known.len() < MAX_PINS || known.contains_key(&tool) {
                let before = known.insert(tool, is_pinned);
                is_news |= is_pinned && before != Some(true);
            }
        }
        self.version += u64::from(is_news);
        self.version
    }

    /// Other servers count from now on.
    pub(super) fn change(&mut self) {
        self.version += 1;
    }

    /// All pins were read and learned.
    pub(super) fn read(&mut self, now: Instant) {
        self.read_at = Some(now);
    }

    /// Whether they were a moment ago.
    pub(super) fn are_fresh(&self, now: Instant) -> bool {
        self.read_at.is_some_and(|at| now.duration_since(at) < FRESH)
    }

    /// The tools of these servers, or those that are pinned alone.
    pub(super) fn tools(&self, servers: &HashSet<String>, pinned: bool) -> Vec<(String, String)> {
        let counted = self.names.iter().filter(|(server, _)| servers.contains(*server));
        let tools =
            counted.flat_map(|(server, tools)| tools.iter().map(move |(tool, is_pinned)| (server, tool, *is_pinned)));
        let meant = tools.filter(|(_, _, is_pinned)| *is_pinned || !pinned);
        meant.map(|(server, tool, _)| (server.clone(), tool.clone())).collect()
    }

    /// Whether a server's tools were not looked at beside those that there are. What was so before this process began was
    /// beside what there was then: a server may have been away when others came.
    pub(super) fn is_stale(&self, server: &str) -> bool {
        self.looked.get(server).is_none_or(|looked| looked.version != self.version)
    }

    /// Whether they are to be looked at again now, though the server listed nothing new.
    pub(super) fn is_due(&self, server: &str, now: Instant) -> bool {
        self.looked.get(server).is_some_and(|looked| looked.version != self.version && looked.again_at <= now)
    }

    /// A server's tools were looked at beside those of a version, and `own` is what became of them.
    pub(super) fn looked(
        &mut self,
        server: &str,
        version: u64,
        own: impl IntoIterator<Item = (String, bool)>,
        now: Instant,
    ) {
        let is_newest = self.version == version;
        let with_own = self.learn(own.into_iter().map(|(tool, is_pinned)| (server.to_owned(), tool, is_pinned)));
        // Its own tools are no others beside it.
        let version = if is_newest { with_own } else { version };
        let times = self.looked.get(server).map_or(0, |looked| looked.times.saturating_add(1));
        let again_at = now + PAUSE.saturating_mul(times).min(PAUSE_AT_MOST);
        self.looked.insert(server.to_owned(), Looked { version, times, again_at });
    }

    /// A server's tools needed no look; `own` is what they are by now: somebody may have agreed to one.
    pub(super) fn keep(&mut self, server: &str, own: impl IntoIterator<Item = (String, bool)>) {
        let before = self.version;
        let with_own = self.learn(own.into_iter().map(|(tool, is_pinned)| (server.to_owned(), tool, is_pinned)));
        if let Some(looked) = self.looked.get_mut(server).filter(|looked| looked.version == before) {
            looked.version = with_own;
        }
    }

    /// Nobody looks at a server's tools any more.
    pub(super) fn forget(&mut self, server: &str) {
        self.looked.remove(server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(server: &str, tool: &str) -> [(String, String, bool); 1] {
        [(server.into(), tool.into(), true)]
    }

    #[test]
    fn whoever_makes_up_names_all_the_time_has_others_looked_at_less_and_less() {
        let (mut others, mut now) = (Others::default(), Instant::now());
        let (mut version, started) = (others.learn(tool("s", "add")), now);
        assert!(others.is_stale("s") && !others.is_due("s", now), "nobody listed it");
        others.looked("s", version, [], now);
        version = others.learn(tool("s", "add"));
        assert!(!others.is_stale("s"), "nothing is new");
        for times in 0..50_u32 {
            others.looked("s", version, [], now);
            version = others.learn(tool("t", &format!("tool_{times}")));
            assert!(others.is_stale("s"));
            while !others.is_due("s", now) {
                now += PAUSE;
            }
        }
        assert!(now - started >= PAUSE * 50 * 49 / 2, "{:?}", now - started);
        assert!(now - started <= PAUSE_AT_MOST * 50);
    }

    #[test]
    fn tools_of_servers_that_do_not_count_are_beside_none() {
        let mut others = Others::default();
        others.learn([tool("s", "add"), tool("t", "send")].concat());
        assert_eq!(others.tools(&HashSet::from(["t".to_owned()]), false), [("t".to_owned(), "send".to_owned())]);
    }

    #[test]
    fn a_name_that_is_only_listed_has_nobody_looked_at_again() {
        let (mut others, now) = (Others::default(), Instant::now());
        let version = others.learn([]);
        others.looked("s", version, [("add".to_owned(), true)], now);
        assert!(!others.is_stale("s"), "what it has itself is no other");
        others.looked("t", version, [("send".to_owned(), false)], now);
        assert!(!others.is_due("s", now));
        let all = HashSet::from(["s".to_owned(), "t".to_owned()]);
        assert_eq!((others.tools(&all, false).len(), others.tools(&all, true).len()), (2, 1));
        others.learn(tool("t", "send"));
        assert!(others.is_due("s", now), "somebody agreed to it");
    }
}
