//! Files that change while what is built of them is away.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use omni_core::{
    Config, Omni, PolicyStore, Principal,
    llm::scripted::Scripted,
    policy::{Grant, PolicyError, PolicyVersion, memory::MemoryPolicy},
};
use omni_tests::server::FakeServer;
use tokio::{sync::watch, time::timeout};

use super::{Lab, SOON, options};

/// A policy whose database is away at times.
#[derive(Debug)]
struct Sometimes {
    policy: MemoryPolicy,
    is_away: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl PolicyStore for Sometimes {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        self.policy.resolve(principal).await
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.policy.version()
    }

    async fn refresh(&self) -> Result<(), PolicyError> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(PolicyError::Unavailable { message: "the database did not answer in time".into() }),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn files_that_changed_while_a_store_was_away_are_live_once_it_is_back() {
    let mut lab = Lab::new(FakeServer::echo(), Scripted::new()).await;
    lab.omni.shutdown().await;
    let is_away = Arc::new(AtomicBool::new(false));
    let own = is_away.clone();
    Arc::get_mut(&mut lab.registry).unwrap().policies.register("own", move |_| {
        let policy = Sometimes { policy: MemoryPolicy::allow_all(), is_away: own.clone() };
        Box::pin(async move { Ok(Arc::new(policy) as Arc<dyn PolicyStore>) })
    });
    let mut config = Config::load(options(lab.dir.path())).unwrap();
    config.policy_kind = "own".into();
    lab.omni = Omni::from_config(&config, &lab.registry).await.unwrap();
    let watching = lab.reloader().watch().unwrap();
    let mut outcome = watching.outcome();

    is_away.store(true, Ordering::SeqCst);
    lab.write("mcps.yaml", "mcps: [{ name: other, transport: fake, url: http://lab }]");
    timeout(SOON, outcome.changed()).await.unwrap().unwrap();
    assert!(outcome.borrow_and_update().as_ref().is_some_and(|outcome| outcome.is_err()));

    is_away.store(false, Ordering::SeqCst);
    let servers = async {
        loop {
            outcome.changed().await.unwrap();
            if let Some(Ok(reload)) = outcome.borrow_and_update().as_deref() {
                return reload.servers.clone();
            }
        }
    };
    assert_eq!(
        timeout(SOON, servers).await.unwrap(),
        BTreeSet::from(["other".to_owned()]),
        "nobody touched the files again"
    );
    drop(watching);
    lab.omni.shutdown().await;
}
