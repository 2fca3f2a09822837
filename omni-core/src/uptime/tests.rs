use super::{memory::MemoryUptime, *};
use crate::{
    catalog::{Catalog, Health, ServerView},
    redact::Redactor,
    testing::uptime_store_contract,
};

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minute)
}

fn catalog(servers: &[(&str, Health)]) -> Catalog {
    let view = |(name, health): &(&str, Health)| {
        let mut view = ServerView::new(*name, "http");
        view.health = health.clone();
        view
    };
    Catalog::new(1, servers.iter().map(view).collect())
}

fn away() -> Health {
    Health::Unhealthy { reason: "refused with hunter2secret".into() }
}

/// A watch over a store, and a redactor that knows a secret.
struct Post(Watch, MemoryUptime, Redactor);

impl Post {
    fn new() -> Self {
        Self(Watch::default(), MemoryUptime::new(), Redactor::new().with_value("hunter2secret"))
    }

    async fn see(&self, minute: i64, is_heartbeat: bool, servers: &[(&str, Health)]) {
        self.0.keep(&self.1, &catalog(servers), &self.2, is_heartbeat, at(minute)).await.unwrap();
    }

    /// Of every spell of a server, the oldest first: since and until which minute, and whether it was up.
    async fn spells(&self, server: &str) -> Vec<(i64, i64, bool)> {
        let found = self.1.since(at(-1_000), Some(server)).await.unwrap();
        let minute = |moment: DateTime<Utc>| (moment - at(0)).num_minutes();
        found.iter().rev().map(|spell| (minute(spell.began_at), minute(spell.last_at), spell.is_up)).collect()
    }
}

#[tokio::test]
async fn memory_keeps_how_servers_did() {
    uptime_store_contract(&MemoryUptime::new()).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite_keeps_how_servers_did() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("omni.db").display());
    let store = sql::SqlUptime::new(crate::people::Tables::at(url));
    assert_eq!(store.since(at(0), None).await.unwrap(), []);
    assert!(!dir.path().join("omni.db").exists(), "whoever only reads makes no database");
    uptime_store_contract(&store).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_keeps_how_servers_did() {
    if let Some(url) = crate::testing::postgres_schema().await {
        uptime_store_contract(&sql::SqlUptime::new(crate::people::Tables::at(url))).await;
    }
}

#[tokio::test]
async fn a_change_is_kept_at_once_and_what_stays_so_with_a_heartbeat() {
    let post = Post::new();
    post.see(0, false, &[("a", Health::Unknown), ("off", Health::Disabled)]).await;
    assert_eq!(post.spells("a").await, [], "nobody knows yet");
    post.see(1, false, &[("a", Health::Healthy)]).await;
    post.see(2, false, &[("a", Health::Healthy)]).await;
    assert_eq!(post.spells("a").await, [(1, 1, true)], "nothing changed");
    post.see(3, true, &[("a", Health::Healthy)]).await;
    assert_eq!(post.spells("a").await, [(1, 3, true)]);
    post.see(4, false, &[("a", away())]).await;
    post.see(6, true, &[("a", away())]).await;
    post.see(7, false, &[("a", Health::Healthy)]).await;
    assert_eq!(post.spells("a").await, [(1, 4, true), (4, 7, false), (7, 7, true)]);
    let said = post.1.since(at(0), Some("a")).await.unwrap().into_iter().find_map(|spell| spell.reason).unwrap();
    assert!(said.starts_with("refused with ") && !said.contains("hunter2secret"), "{said}");
    post.see(8, false, &[]).await;
    assert_eq!(post.spells("a").await[2], (7, 8, true), "a server that is gone is watched no more");
    post.see(9, true, &[]).await;
    assert_eq!(post.spells("a").await.len(), 3);
    assert_eq!(post.spells("off").await, []);
}

#[tokio::test]
async fn where_the_process_stood_still_there_is_a_gap() {
    let post = Post::new();
    post.see(0, true, &[("a", Health::Healthy)]).await;
    post.see(60, true, &[("a", Health::Healthy)]).await;
    post.see(120, false, &[("a", away())]).await;
    assert_eq!(post.spells("a").await, [(0, 0, true), (60, 60, true), (120, 120, false)]);
}

/// A store that is away the first two times.
#[derive(Debug, Default)]
struct Late(MemoryUptime, std::sync::atomic::AtomicU32);

#[async_trait]
impl UptimeStore for Late {
    async fn keep(&self, spells: &[Spell]) -> Result<(), UptimeError> {
        match self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 | 1 => Err(UptimeError::new("away")),
            _ => self.0.keep(spells).await,
        }
    }

    async fn since(&self, since: DateTime<Utc>, server: Option<&str>) -> Result<Vec<Spell>, UptimeError> {
        self.0.since(since, server).await
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, UptimeError> {
        self.0.sweep(before).await
    }
}

#[tokio::test]
async fn what_a_store_did_not_take_it_is_given_again() {
    let (watch, store, redactor) = (Watch::default(), Late::default(), Redactor::new());
    let keep =
        async |minute, health| watch.keep(&store, &catalog(&[("a", health)]), &redactor, false, at(minute)).await;
    assert!(keep(0, away()).await.is_err());
    assert!(keep(1, Health::Healthy).await.is_err());
    keep(2, Health::Healthy).await.unwrap();
    let found = store.since(at(0), None).await.unwrap();
    assert_eq!(
        found.iter().map(|spell| (spell.began_at, spell.is_up)).collect::<Vec<_>>(),
        [(at(1), true), (at(0), false)]
    );
}

#[test]
fn portions_say_how_long_a_server_was_watched_and_how_long_it_was_away() {
    let spell = |server: &str, from, to, away: bool| {
        let mut spell = Spell::new(server, Uuid::nil(), at(from), away.then(|| "no".into()));
        spell.last_at = at(to);
        spell
    };
    let spells =
        [spell("a", 0, 70, false), spell("a", 70, 80, true), spell("a", 200, 200, true), spell("b", 0, 240, true)];
    let begins = [at(0), at(60), at(120), at(180)];
    let found = portions(&spells, "a", &begins, at(230));
    let minutes: Vec<_> = found.iter().map(|one| (one.watched_ms, one.away_ms)).collect();
    assert_eq!(minutes, [(3_600_000, 0), (1_200_000, 600_000), (0, 0), (1_000, 1_000)]);
    assert_eq!(found[3].begins, at(180));
}

#[test]
fn as_many_spells_as_are_read_at_most_are_complete_since_the_earliest_of_them() {
    let spell = |minute| Spell::new("a", Uuid::nil(), at(minute), None);
    let spells = [spell(9), spell(7), spell(4)];
    assert_eq!(cut_at(&spells, 3), Some(at(4)));
    assert_eq!([cut_at(&spells, 4), cut_at(&[], 3), complete_since(&spells)], [None; 3]);
}

#[test]
fn what_several_saw_of_one_absence_is_one_with_the_reason_of_whoever_saw_it_last() {
    let seen = |watcher: u128, from: i64, to: i64, why: &str| {
        let mut spell = Spell::new("lab", Uuid::from_u128(watcher), at(from), Some(why.into()));
        spell.last_at = at(to);
        spell
    };
    let mut other = seen(1, 0, 9, "another server");
    other.server = "other".into();
    let up = Spell::new("lab", Uuid::from_u128(4), at(5), None);
    let spells = [
        seen(1, 40, 41, "again"),
        seen(3, 11, 12, "last"),
        seen(2, 2, 10, "second"),
        seen(1, 1, 3, "first"),
        other,
        up,
        seen(1, 60, 61, "early"),
        seen(1, 61, 63, "the same watcher looked away between"),
    ];
    let told = |most| {
        let absences = absences(&spells, "lab", most);
        let told = absences.iter().map(|spell| {
            (
                (spell.began_at - at(0)).num_minutes(),
                (spell.last_at - at(0)).num_minutes(),
                spell.reason.clone().unwrap(),
            )
        });
        told.collect::<Vec<_>>()
    };
    let all = [
        (61, 63, "the same watcher looked away between".to_owned()),
        (60, 61, "early".to_owned()),
        (40, 41, "again".to_owned()),
        (1, 12, "last".to_owned()),
    ];
    assert_eq!(told(9), all);
    assert_eq!(told(2), all[..2]);
}

#[tokio::test]
async fn a_server_that_stays_away_for_another_reason_is_told_with_the_newest() {
    let post = Post::new();
    let reason = async |minute, reason: &str| {
        post.see(minute, false, &[("lab", Health::Unhealthy { reason: reason.into() })]).await;
        let found = post.1.since(at(-1_000), Some("lab")).await.unwrap();
        assert_eq!(found.len(), 1);
        found[0].reason.clone().unwrap()
    };
    assert_eq!(reason(0, "connection refused").await, "connection refused");
    let shown = reason(2, "401 with hunter2secret").await;
    assert!(shown.starts_with("401 with ") && !shown.contains("hunter2secret"), "{shown}");
}
