//! Two instances of the service on one PostgreSQL and one Redis, behind a load balancer.

use std::{
    collections::BTreeSet,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures::{StreamExt as _, stream};
use omni_core::{
    net::{self, ClientOptions},
    testing,
};
use omni_tests::{
    balancer::Balancer,
    program::Program,
    rig::until,
    service::Service,
    vendor::{KEY, Vendor},
};
use reqwest::Client;
use serde_json::{Value, json};
use uuid::Uuid;

/// How many questions a person may ask in an hour.
const MOST: usize = 20;

/// Two instances that share what they must share, and nothing else.
struct Pair {
    homes: [Program; 2],
    instances: [Service; 2],
    balancer: Balancer,
    /// Of somebody who is limited, and of somebody who is not.
    keys: [String; 2],
    client: Client,
    database: String,
}

impl Pair {
    /// `None` where there is no PostgreSQL or no Redis; under CI there are.
    async fn start() -> Option<Self> {
        Self::start_with("llm: { provider: offline }").await
    }

    /// The same with another model.
    async fn start_with(llm: &str) -> Option<Self> {
        let (database, (redis, _)) = (testing::postgres_schema().await?, testing::redis()?);
        let home = || home(&database, &redis, llm);
        let homes = [home(), home()];
        // Nobody else who counts in this Redis has these names.
        let run = Uuid::new_v4().simple().to_string();
        let users = format!(
            "users:\n- {{ email: some-{run}@x.org, role: dba, rate_limit: {{ requests_per_hour: {MOST} }} }}\n\
             - {{ email: any-{run}@x.org, role: dba, rate_limit: {{ requests_per_hour: 0 }} }}\n"
        );
        let homes = homes.map(|home| home.with_file("users.yaml", &users));
        let keys = ["some", "any"].map(|who| {
            let made = homes[0].run(&["keys", "create", "--user", &format!("{who}-{run}@x.org"), "--scope", "ask"]);
            made.exits(0).out.trim().to_owned()
        });
        let instances = [0, 1].map(|at: usize| Service::start(&homes[at], &[]));
        let address = |service: &Service| service.url.trim_start_matches("http://").parse::<SocketAddr>().unwrap();
        let balancer = Balancer::start(instances.iter().map(address).collect()).await;
        // Each question is a connection of its own, so that they alternate.
        let mut options = ClientOptions::for_url(&balancer.url().parse().unwrap());
        options.pool_max_idle = 0;
        let client = net::client(&options).unwrap();
        Some(Self { homes, instances, balancer, keys, client, database })
    }

    /// The status of a question, and its id in the ledger; nothing where the connection broke.
    async fn ask(&self, key: &str) -> Option<(u16, String)> {
        let (status, body) = self.post(key, &json!({ "message": "What can you do?" })).await?;
        Some((status, body["request_id"].as_str().unwrap_or_default().to_owned()))
    }

    /// The answer to a question by whichever instance it comes to; nothing where the connection broke.
    async fn post(&self, key: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.client.post(format!("{}/chat/ask", self.balancer.url())).bearer_auth(key);
        let response = request.json(body).send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }

    async fn post_one(&self, key: &str, body: Value) -> Option<u16> {
        Some(self.post(key, &body).await?.0)
    }
}

fn home(database: &str, redis: &str, llm: &str) -> Program {
    let settings = format!(
        "database: {{ url: \"{database}\" }}\n{llm}\nlimit: {{ backend: redis, redis_url: \
         \"{redis}\" }}\naudit: {{ key: {} }}\n",
        "7a".repeat(32)
    );
    Program::new(env!("CARGO_BIN_EXE_omni-under-test")).with_file("settings.yaml", &settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_questions_are_let_in_as_one_instance_would_let_in() {
    let Some(pair) = Pair::start().await else { return };
    let asks = stream::iter(0..MOST * 2).map(|_| pair.ask(&pair.keys[0])).buffer_unordered(16);
    let statuses: Vec<u16> = asks.map(|answer| answer.unwrap().0).collect().await;
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(200), count(429)), (MOST, MOST), "{statuses:?}");
    for instance in pair.instances {
        instance.signal("TERM");
        assert_eq!(instance.end().0, 0);
    }
    for home in &pair.homes {
        home.run(&["audit", "verify"]).exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_killed_fails_no_question_but_those_that_it_had_begun_and_loses_none() {
    const AT_ONCE: usize = 8;
    let Some(pair) = Pair::start().await else { return };
    let pair = Arc::new(pair);
    let (asked, is_dead) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let address: SocketAddr = pair.instances[1].url.trim_start_matches("http://").parse().unwrap();
    let asks = stream::iter(0..200).map(|_| {
        let (pair, asked, is_dead) = (pair.clone(), asked.clone(), is_dead.clone());
        async move {
            if asked.fetch_add(1, Ordering::SeqCst) == 60 {
                pair.instances[1].signal("KILL");
                // Until it is gone it takes questions.
                until(|| TcpStream::connect(address).is_err()).await;
                is_dead.store(true, Ordering::SeqCst);
            }
            let was_dead = is_dead.load(Ordering::SeqCst);
            (pair.ask(&pair.keys[1]).await, was_dead)
        }
    });
    let answers: Vec<(Option<(u16, String)>, bool)> = asks.buffer_unordered(AT_ONCE).collect().await;
    let is_good = |answer: &Option<(u16, String)>| answer.as_ref().is_some_and(|(status, _)| *status == 200);
    let failed: Vec<_> = answers.iter().filter(|(answer, was_dead)| *was_dead && !is_good(answer)).collect();
    assert!(failed.is_empty(), "none that began when it was gone: {failed:?}");
    assert!(answers.iter().filter(|(_, was_dead)| *was_dead).count() > 50, "many began when it was gone");
    let answers = answers.iter().map(|(answer, _)| answer).filter(|answer| is_good(answer));
    let answered: BTreeSet<&String> = answers.flatten().map(|(_, id)| id).collect();

    // What the dead one had on its disk comes with its next start.
    let again = Service::start(&pair.homes[1], &[]);
    again.signal("TERM");
    assert_eq!(again.end().0, 0);
    pair.instances[0].signal("TERM");
    let recorded = recorded(&pair.database, answered.len()).await;
    assert_eq!(recorded.iter().collect::<BTreeSet<_>>().len(), recorded.len(), "none twice");
    let recorded: BTreeSet<&String> = recorded.iter().collect();
    assert!(answered.is_subset(&recorded), "all that was answered is recorded");
    let verified = pair.homes[0].run(&["audit", "verify", "--json"]).exits(0).json();
    assert_eq!(verified["ok"], true, "{verified}");
}

/// The questions in the database, once all that were answered are there.
async fn recorded(database: &str, at_least: usize) -> Vec<String> {
    let pool = sqlx::PgPool::connect(database).await.unwrap();
    let query = "SELECT request_id FROM audit_logs WHERE request_type = 'chat'";
    for _ in 0..600 {
        let rows: Vec<String> = sqlx::query_scalar(query).fetch_all(&pool).await.unwrap();
        if rows.len() >= at_least {
            return rows;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("fewer than {at_least} questions were recorded");
}

/// How many messages the model was told of in its newest turn, and which answers were in them.
fn told(vendor: &Vendor) -> (usize, BTreeSet<usize>) {
    let body = vendor.requests().pop().unwrap().body;
    let text = body["messages"].to_string();
    let answers = (0..50).filter(|n| text.contains(&format!("\"Answer {n}.\"")));
    (body["messages"].as_array().unwrap().len(), answers.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_whichever_instance_answers_and_when_one_is_killed() {
    let vendor = Vendor::start().await;
    vendor.check_prefixes();
    let llm = format!("llm: {{ provider: anthropic, base_url: \"{}\", api_key: {KEY} }}", vendor.base_url());
    let Some(pair) = Pair::start_with(&llm).await else { return };
    let key = &pair.keys[1];
    let ask = async |n: usize| {
        let body = json!({ "message": format!("#plain Answer {n}."), "thread_id": "t" });
        let (status, body) = pair.post(key, &body).await?;
        assert_eq!((status, &body["thread_id"]), (200, &json!("t")), "{body}");
        Some(())
    };
    for n in 0..6 {
        ask(n).await.unwrap();
        assert_eq!(told(&vendor), (2 * n + 1, (0..n).collect()), "every instance knows all that was said");
    }
    pair.instances[0].signal("KILL");
    for n in 6..9 {
        // The balancer may have begun a connection to the dead one.
        while ask(n).await.is_none() {}
        assert_eq!(told(&vendor), (2 * n + 1, (0..n).collect()), "and so does the one that is left");
    }
    let of_others = json!({ "message": "#plain Hello.", "thread_id": "t" });
    pair.post(&pair.keys[0], &of_others).await.unwrap();
    assert_eq!(told(&vendor).0, 1, "nobody else finds it by its name");
    assert_eq!(vendor.violations(), Vec::<String>::new(), "each request began with the bytes of the one before");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_of_one_conversation_that_come_to_both_at_once_are_all_kept() {
    const MANY: usize = 16;
    let Some(pair) = Pair::start().await else { return };
    let body = |n: usize| json!({ "message": format!("Question {n}?"), "thread_id": "t" });
    let asks = stream::iter(0..MANY).map(|n| pair.post_one(&pair.keys[1], body(n))).buffer_unordered(8);
    assert!(asks.all(|status| async move { status == Some(200) }).await);
    let pool = sqlx::PgPool::connect(&pair.database).await.unwrap();
    let query = "SELECT u.number, u.turn FROM thread_turns u JOIN threads t ON t.id = u.thread_id ORDER BY u.number";
    let rows: Vec<(i64, String)> = sqlx::query_as(query).fetch_all(&pool).await.unwrap();
    let numbers: Vec<usize> = rows.iter().map(|(number, _)| usize::try_from(*number).unwrap()).collect();
    assert_eq!(numbers, (1..=MANY).collect::<Vec<_>>());
    for n in 0..MANY {
        let kept = rows.iter().filter(|(_, turn)| turn.contains(&format!("Question {n}?"))).count();
        assert_eq!(kept, 1, "question {n}");
    }
}
