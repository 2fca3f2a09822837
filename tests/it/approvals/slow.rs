//! A store of parked runs that takes its time: nobody waits for it for ever, and what is known by then is not lost.

use std::time::Duration;

use omni_core::{
    ErrorKind,
    answer::CallStatus,
    confirm::{Change, Confirmation, ParkedRun, RunError, RunStore, Whose, memory::MemoryRuns},
    ledger::Outcome,
};
use tokio::time::{sleep, timeout};

use super::*;

const FOREVER: Duration = Duration::from_secs(1_000_000);

/// A store that waits before it does one thing, a change by where it leads; a lapse it does at once, and waits before
/// it tells what changed.
#[derive(Debug, Default)]
struct Slow {
    runs: MemoryRuns,
    at: Mutex<Option<(&'static str, Duration)>>,
}

impl Slow {
    /// From now on this takes so long.
    fn takes(&self, asked: &'static str, long: Duration) {
        *self.at.lock().unwrap() = Some((asked, long));
    }

    fn is_well(&self) {
        *self.at.lock().unwrap() = None;
    }

    async fn at(&self, asked: &str) -> &MemoryRuns {
        let at = *self.at.lock().unwrap();
        if let Some((_, long)) = at.filter(|(slow, _)| *slow == asked) {
            sleep(long).await;
        }
        &self.runs
    }
}

#[async_trait::async_trait]
impl RunStore for Slow {
    async fn park(&self, run: ParkedRun<'_>) -> Result<(), RunError> {
        self.at("park").await.park(run).await
    }

    async fn confirmation(&self, id: Uuid) -> Result<Option<Confirmation>, RunError> {
        self.at("confirmation").await.confirmation(id).await
    }

    async fn of_run(&self, run: Uuid) -> Result<Vec<Confirmation>, RunError> {
        self.at("of_run").await.of_run(run).await
    }

    async fn pending(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        self.at("pending").await.pending(whose, limit).await
    }

    async fn change(&self, change: Change<'_>) -> Result<bool, RunError> {
        self.at(change.to.as_str()).await.change(change).await
    }

    async fn agreed(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        self.at("agreed").await.agreed(whose, limit).await
    }

    async fn agree_again(&self, id: Uuid, from: &str, by: &str) -> Result<bool, RunError> {
        self.at("agree_again").await.agree_again(id, from, by).await
    }

    async fn recorded(&self, id: Uuid, by: &str) -> Result<(), RunError> {
        self.at("recorded").await.recorded(id, by).await
    }

    async fn body(&self, run: Uuid) -> Result<Option<String>, RunError> {
        self.at("body").await.body(run).await
    }

    async fn claim(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        self.at("claim").await.claim(run, lease).await
    }

    async fn renew(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        self.at("renew").await.renew(run, lease).await
    }

    async fn end(&self, run: Uuid, result: Option<&str>) -> Result<Vec<Confirmation>, RunError> {
        self.at("end").await.end(run, result).await
    }

    async fn result(&self, run: Uuid) -> Result<Option<String>, RunError> {
        self.at("result").await.result(run).await
    }

    async fn decided(&self, limit: usize) -> Result<Vec<Uuid>, RunError> {
        self.at("decided").await.decided(limit).await
    }

    async fn lapse(&self) -> Result<Vec<Confirmation>, RunError> {
        let changed = self.runs.lapse().await;
        self.at("lapse").await;
        changed
    }
}

fn wiping() -> Scripted {
    Scripted::new().call(&[wipe("a")]).say("Done.")
}

async fn slow(change: impl FnOnce(OmniBuilder) -> OmniBuilder) -> (Arc<Slow>, Rig) {
    let store = Arc::new(Slow::default());
    let rig = rig(wiping(), Changing::new(), |builder| change(builder.runs(store.clone()))).await;
    (store, rig)
}

/// What somebody is told who agrees, should that not be the answer.
async fn told(omni: &Omni, id: Uuid) -> omni_core::Error {
    let agreeing = async {
        match omni.confirm(id, Verdict::Approve, by(ADA)).await {
            Ok(stream) => stream.collect().await.unwrap_err().error,
            Err(error) => error,
        }
    };
    timeout(Duration::from_secs(60), agreeing).await.expect("nobody waits for ever")
}

#[tokio::test(start_paused = true)]
async fn what_came_of_an_agreed_call_is_kept_though_the_ask_ends_while_the_store_notes_it() {
    let (store, rig) = slow(same).await;
    let mut question = ask();
    question.options.timeout = Some(Duration::from_secs(3));
    let id = parked(&rig.omni, question).await.pending[0].id;
    store.takes("done", Duration::from_secs(4));
    let answer = approve(&rig.omni, id, ADA).await.unwrap();
    assert_eq!((answer.status, answer.tool_calls[0].status), (Status::Timeout, CallStatus::Ok), "{answer:?}");
    assert!(answer.tool_calls[0].result_id.is_some(), "{answer:?}");
    assert_eq!((rig.server.calls(), state(&rig.omni, id).await), (1, "done"));
    rig.omni.shutdown().await;
    assert_eq!(rig.recorder.tool_calls(answer.request_id), [("wipe".to_owned(), Outcome::Success)]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_for_a_decision_that_the_store_does_not_take() {
    for asked in ["confirmation", "approved", "of_run", "body"] {
        let (store, rig) = slow(same).await;
        let id = parked(&rig.omni, ask()).await.pending[0].id;
        store.takes(asked, FOREVER);
        let error = told(&rig.omni, id).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{asked}: {error}");
        assert_eq!(rig.server.calls(), 0, "{asked}");
    }
    for asked in ["pending", "agreed"] {
        let (store, rig) = slow(same).await;
        store.takes(asked, FOREVER);
        let listed = timeout(Duration::from_secs(60), rig.omni.confirmations(Principal::email(ADA))).await;
        assert_eq!(listed.expect(asked).unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_the_store_does_not_give_out_in_time_waits_and_goes_on_later() {
    let (store, rig) = slow(same).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    store.takes("claim", FOREVER);
    let error = told(&rig.omni, id).await;
    assert_eq!((error.kind(), state(&rig.omni, id).await), (ErrorKind::Unavailable, "approved"), "{error}");
    let words = error.public_message();
    assert!(words.contains("what was decided is kept"), "{words}");
    store.is_well();
    let answer = approve(&rig.omni, id, ADA).await.unwrap();
    assert_eq!((answer.text.as_str(), rig.server.calls()), ("Done.", 1));
    rig.omni.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_expired_are_recorded_however_long_the_store_takes_to_tell() {
    let mut rules = ApprovalRules::default();
    rules.expiry = Duration::from_secs(60);
    let (store, rig) = slow(|builder| builder.approvals(rules)).await;
    parked(&rig.omni, ask()).await;
    store.takes("lapse", Duration::from_secs(45));
    sleep(Duration::from_secs(180)).await;
    rig.omni.shutdown().await;
    let expired = recorded(&rig.recorder).into_iter().filter(|(action, _)| action == "confirmation.expired").count();
    assert_eq!(expired, 1);
}
