//! A whole pipeline with a scripted model, a fake server and a ledger that can be read.

use omni_core::{Answer, Ask, ErrorKind, Omni, OmniBuilder, ledger::Outcome, llm::scripted::Scripted};

use crate::{recorder::Recorder, server::FakeServer};

/// One pipeline and its surroundings. The server is called `lab`.
#[derive(Debug)]
pub struct Rig {
    /// The pipeline.
    pub omni: Omni,
    /// What the ledger delivered.
    pub recorder: Recorder,
    /// The server.
    pub server: FakeServer,
}

impl Rig {
    /// A pipeline as the builder makes it, after `change`.
    ///
    /// # Panics
    /// When it cannot be built.
    pub async fn new(llm: Scripted, server: FakeServer, change: impl FnOnce(OmniBuilder) -> OmniBuilder) -> Self {
        let recorder = Recorder::default();
        let builder = Omni::builder().llm(llm).server("lab", server.clone()).audit(recorder.clone());
        Self { omni: change(builder).build().await.unwrap(), recorder, server }
    }

    /// Asks, shuts down so that every record is delivered, and returns answer or error with the closings.
    pub async fn run(self, ask: Ask) -> (Result<Answer, (ErrorKind, Answer)>, Vec<Outcome>, Recorder) {
        let id = ask.request_id;
        let result = self.omni.ask_stream(ask).collect().await;
        self.omni.shutdown().await;
        let result = result.map_err(|failure| (failure.error.kind(), failure.answer));
        (result, self.recorder.closings(id), self.recorder)
    }
}

/// Waits until something is so.
///
/// # Panics
/// When it is not within half a minute.
pub async fn until(condition: impl Fn() -> bool) {
    until_some(async || condition().then_some(())).await;
}

/// Waits for something that comes soon.
///
/// # Panics
/// When it is not there within half a minute.
pub async fn until_some<T>(look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..3_000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it did not happen within 30 s");
}
