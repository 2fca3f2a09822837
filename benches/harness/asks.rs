//! `/chat/ask` with an instant model and one tool call, and how soon a stream's first text is there.

use std::{path::Path, time::Instant};

use anyhow::{Result, bail};
use http_body_util::BodyExt as _;

use super::{
    calls::AT_ONCE,
    child::Role,
    drive::{Caller, Driven, Load},
    home::{Home, Serving, Setup, server},
    model::{FIRST_TEXT, TALK},
    round::Sums,
};

pub(super) const ASK: &str = "/chat/ask, one tool call";
pub(super) const OWN_TOKEN: &str = "model's own first text";
pub(super) const TOKEN: &str = "first text of a stream";

/// What is measured of asks.
#[derive(Debug)]
pub(super) struct Asks {
    serving: Serving,
    ask: Load,
    stream: Load,
    straight: Load,
    _home: Home,
    _upstream: Role,
    _model: Role,
}

impl Asks {
    pub(super) async fn start(program: &Path) -> Result<Self> {
        let (upstream, model) = (Role::start(&["upstream"])?, Role::start(&["model"])?);
        let servers = vec![server("lab", &upstream.address, "/mcp")];
        let setup = Setup { servers, model: Some(model.address.clone()), ..Setup::default() };
        let home = Home::new(program, &setup)?;
        let (key, serving) = (home.key()?, home.serve()?);
        serving.knows(1).await?;
        let bearer = format!("Bearer {key}");
        let ask = |path, says: &str| {
            let body = format!(r#"{{"message":"{says}"}}"#);
            Load::new(&serving.address, path, &[("authorization", &bearer)], &body)
        };
        let (asking, stream) = (ask("/chat/ask", "Say hi"), ask("/chat/ask/stream", TALK));
        let own = format!(r#"{{"model":"instant","stream":true,"messages":[{{"role":"user","content":"{TALK}"}}]}}"#);
        let straight = Load::new(&model.address, "/v1/chat/completions", &[], &own);
        Ok(Self { serving, ask: asking, stream, straight, _home: home, _upstream: upstream, _model: model })
    }

    /// One round.
    pub(super) async fn round(&self, sums: &mut Sums, seconds: f64) -> Result<()> {
        for at_once in AT_ONCE {
            sums.measure((ASK, at_once), &self.ask, seconds, Some(&self.serving)).await?;
        }
        sums.add((OWN_TOKEN, 1), &first_texts(&self.straight, FIRST_TEXT, seconds).await?, None);
        sums.add((TOKEN, 1), &first_texts(&self.stream, b"event: token", seconds).await?, None);
        sums.drain(&self.serving).await
    }
}

/// How long streams take until they say something, one after the other.
async fn first_texts(load: &Load, words: &[u8], seconds: f64) -> Result<Driven> {
    let (mut caller, began, mut times) = (Caller::connect(load).await?, Instant::now(), Vec::new());
    while began.elapsed().as_secs_f64() < seconds {
        let (started, mut said) = (Instant::now(), Vec::new());
        let mut answer = caller.begin_answer().await?;
        while !said.windows(words.len()).any(|part| part == words) {
            match answer.frame().await {
                Some(frame) => said.extend_from_slice(frame?.data_ref().map_or(&[], |data| data)),
                None => bail!("a stream ended before its first text: {}", String::from_utf8_lossy(&said)),
            }
        }
        times.push(u64::try_from(started.elapsed().as_nanos())?);
        answer.collect().await?;
    }
    let results = times.len() as u64;
    Ok(Driven { times, in_time: results, seconds: began.elapsed().as_secs_f64(), results, refused: 0 })
}
