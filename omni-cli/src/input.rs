//! The question and what was piped in with it.

use std::{
    io::{self, Read as _},
    os::unix::fs::FileTypeExt as _,
    time::Duration,
};

use omni_core::ask::Attachment;
use tokio::{
    task::{JoinError, JoinHandle},
    time::timeout,
};

use crate::{app::App, exit::Exit, fault::Fault};

/// Most bytes of standard input that go with a question.
const MAX_ATTACHED: usize = 1024 * 1024;
/// How long whoever writes standard input may take, where no `--timeout` says otherwise.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// How long nobody is told that standard input is waited for.
const SILENT_WAIT: Duration = Duration::from_secs(2);

const NO_INPUT: &str = "add `< /dev/null` if there is nothing to read";

/// A question, with what was piped in.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) question: String,
    pub(crate) attachment: Option<Attachment>,
}

/// The question of `words`: from standard input if it is `-` or missing; else what is piped in is
/// attached.
pub(crate) async fn read(app: &App, words: &[String], wait: Option<Duration>) -> Result<Input, Fault> {
    let wait = wait.unwrap_or(MAX_WAIT);
    if words == ["-"] || words.is_empty() {
        let question = match (words.is_empty(), app.process.stdin_tty) {
            (true, true) => None,
            (false, true) => piped(app, wait).await?,
            (_, false) if !is_readable() => None,
            (_, false) => piped(app, wait).await?,
        };
        return match question {
            Some(question) => Ok(Input { question: question.trim().to_owned(), attachment: None }),
            None => Err(missing(app)),
        };
    }
    let question = words.join(" ");
    if app.process.stdin_tty || !is_readable() {
        return Ok(Input { question, attachment: None });
    }
    let text = piped(app, wait).await?;
    Ok(Input { question, attachment: text.map(|text| Attachment { name: "stdin".into(), text }) })
}

fn missing(app: &App) -> Fault {
    // Whoever sits at a terminal made a mistake; a script has to be told which input it owes.
    let exit = if app.process.stdin_tty { Exit::Usage } else { Exit::InputNeeded };
    Fault::with_exit("there is no question", exit)
        .hint("give it as words, as in `omni ask \"What can you do?\"`, or pipe it into `omni ask -`")
}

/// Whether standard input is a pipe, a file or a socket: not `/dev/null`, and not closed.
fn is_readable() -> bool {
    std::fs::metadata("/dev/stdin").is_ok_and(|meta| !meta.file_type().is_char_device())
}

/// Standard input as text; `None` if there is nothing in it.
async fn piped(app: &App, wait: Duration) -> Result<Option<String>, Fault> {
    // Where somebody types, it would be drawn over what they type.
    if !app.process.stdin_tty {
        app.console.spinner.show("reading standard input …");
    }
    let read = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        io::stdin().lock().take(MAX_ATTACHED as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = match patiently(app, wait, read).await {
        Some(Ok(Ok(bytes))) => bytes,
        Some(Ok(Err(error))) => {
            return Err(Fault::with_exit(format!("cannot read standard input: {error}"), Exit::Failed));
        }
        Some(Err(_)) => return Err(Fault::with_exit("cannot read standard input", Exit::Failed)),
        None => {
            let message = format!("standard input did not end within {} s", wait.as_secs_f32());
            return Err(Fault::with_exit(message, Exit::Timeout).hint(NO_INPUT));
        }
    };
    app.console.spinner.clear();
    let (text, cut) = text(bytes);
    if cut {
        app.console.warning("standard input is longer than 1 MiB; the rest is left out");
    }
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

/// What a task brings within the time, and a word on what is waited for if that takes a while: a
/// parent that keeps the pipe open would otherwise wait for omni, and omni for it.
async fn patiently<T>(app: &App, wait: Duration, mut task: JoinHandle<T>) -> Option<Result<T, JoinError>> {
    let silent = SILENT_WAIT.min(wait);
    if let Ok(read) = timeout(silent, &mut task).await {
        return Some(read);
    }
    if wait > silent && !app.process.stdin_tty {
        app.console.hint(&format!("reading standard input until it ends; {NO_INPUT}"));
    }
    timeout(wait - silent, task).await.ok()
}

/// As much of the bytes as may be attached, and whether something was cut.
fn text(mut bytes: Vec<u8>) -> (String, bool) {
    let cut = bytes.len() > MAX_ATTACHED;
    bytes.truncate(MAX_ATTACHED);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if cut {
        text.push_str("\n[cut: the first 1 MiB is shown]");
    }
    (text, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_a_mebibyte_is_cut_and_says_so() {
        let (whole, cut) = text(vec![b'x'; MAX_ATTACHED]);
        assert_eq!((whole.len(), cut), (MAX_ATTACHED, false));
        let (short, cut) = text(vec![b'x'; MAX_ATTACHED + 1]);
        assert!(cut && short.ends_with("is shown]"));
    }

    #[test]
    fn what_is_not_utf8_is_still_attached() {
        assert_eq!(text(b"a\xffb".to_vec()), ("a\u{fffd}b".into(), false));
    }
}
