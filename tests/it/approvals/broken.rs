//! A store of parked runs that breaks: the ask ends as any other does, and has its record.

use std::time::Duration;

use omni_core::{
    ErrorKind,
    confirm::{Change, Confirmation, ParkedRun, RunError, RunStore, Whose, memory::MemoryRuns},
    ledger::Outcome,
};

use super::*;

/// A store that panics when it is asked for one of these.
#[derive(Debug)]
struct Breaking {
    runs: MemoryRuns,
    at: &'static [&'static str],
}

impl Breaking {
    fn at(at: &'static [&'static str]) -> Self {
        Self { runs: MemoryRuns::new(), at }
    }

    fn of(&self, asked: &str) -> &MemoryRuns {
        assert!(!self.at.contains(&asked), "the store of runs broke at {asked}");
        &self.runs
    }
}

#[async_trait::async_trait]
impl RunStore for Breaking {
    async fn park(&self, run: ParkedRun<'_>) -> Result<(), RunError> {
        self.of("park").park(run).await
    }

    async fn confirmation(&self, id: Uuid) -> Result<Option<Confirmation>, RunError> {
        self.of("confirmation").confirmation(id).await
    }

    async fn of_run(&self, run: Uuid) -> Result<Vec<Confirmation>, RunError> {
        self.of("of_run").of_run(run).await
    }

    async fn pending(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        self.of("pending").pending(whose, limit).await
    }

    async fn change(&self, change: Change<'_>) -> Result<bool, RunError> {
        self.of("change").change(change).await
    }

    async fn agreed(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        self.of("agreed").agreed(whose, limit).await
    }

    async fn agree_again(&self, id: Uuid, from: &str, by: &str) -> Result<bool, RunError> {
        self.of("agree_again").agree_again(id, from, by).await
    }

    async fn recorded(&self, id: Uuid, by: &str) -> Result<(), RunError> {
        self.of("recorded").recorded(id, by).await
    }

    async fn body(&self, run: Uuid) -> Result<Option<String>, RunError> {
        self.of("body").body(run).await
    }

    async fn claim(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        self.of("claim").claim(run, lease).await
    }

    async fn renew(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        self.of("renew").renew(run, lease).await
    }

    async fn end(&self, run: Uuid, result: Option<&str>) -> Result<Vec<Confirmation>, RunError> {
        self.of("end").end(run, result).await
    }

    async fn result(&self, run: Uuid) -> Result<Option<String>, RunError> {
        self.of("result").result(run).await
    }

    async fn decided(&self, limit: usize) -> Result<Vec<Uuid>, RunError> {
        self.of("decided").decided(limit).await
    }

    async fn lapse(&self) -> Result<Vec<Confirmation>, RunError> {
        self.of("lapse").lapse().await
    }
}

#[tokio::test]
async fn an_ask_that_can_neither_be_kept_nor_ended_fails_in_one_closing_record() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Well.");
    let store = Breaking::at(&["of_run", "end"]);
    let rig = rig(llm, Changing::new(), |builder| builder.runs(store)).await;
    let server = rig.server.clone();
    let (answer, closings, _) = rig.run(ask()).await;
    assert_eq!((answer.unwrap_err().0, closings), (ErrorKind::Unavailable, vec![Outcome::Error]));
    assert_eq!(server.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_goes_on_is_answered_and_recorded_although_neither_its_lease_nor_its_end_can_be_kept() {
    let slow = FakeServer::echo().tool("wipe", any(), |_| {
        Box::pin(async {
            // Longer than a lease is left as it is.
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(text("wiped"))
        })
    });
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let store = Breaking::at(&["renew", "end"]);
    let rig = Rig::new(llm, slow, |builder| builder.policy(Changing::new()).runs(store)).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let answer = approve(&rig.omni, id, ADA).await.unwrap();
    assert_eq!((answer.text.as_str(), rig.server.calls()), ("Done.", 1));
    rig.omni.shutdown().await;
    assert_eq!(rig.recorder.closings(answer.request_id), [Outcome::Success]);
}
