//! Lines as they are typed, with what was typed before at hand.

use std::{
    fmt, fs, mem,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use async_trait::async_trait;
use omni_core::{Config, config::StoreContent};
use rustyline::{
    Context, Editor, Helper,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::{FileHistory, History as _},
    validate::Validator,
};
use tokio::sync::{Notify, oneshot};

use super::command::NAMES;
use crate::{app::App, fault::Fault, tty, typed::Typed};

/// Most lines that are kept for later.
const KEPT: usize = 1_000;

/// What the person typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Text(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the end of what was piped in.
    End,
}

/// The one place where lines are read.
pub(super) struct Lines {
    editor: Mutex<Editor<Commands, FileHistory>>,
    /// What was typed where nobody waited for it any more.
    left: Mutex<String>,
    /// Whether the person is still at the prompt of a question that is over.
    is_outlived: AtomicBool,
    /// Where lines are kept; `None` keeps none.
    file: Option<PathBuf>,
}

impl Lines {
    /// Where content may be kept, lines of chats before are at hand.
    pub(super) fn open(app: &App, config: &Config) -> Result<Arc<Self>, Fault> {
        let cannot = |error: ReadlineError| Fault::usage(format!("the terminal cannot be read: {error}"));
        let keeps = app.console.interactive && config.store_content == StoreContent::Full;
        let file = keeps.then(|| config.data_dir.join("chat_history"));
        Ok(Arc::new(Self::of(file).map_err(cannot)?))
    }

    fn of(file: Option<PathBuf>) -> Result<Self, ReadlineError> {
        let mut editor = Editor::new()?;
        editor.set_helper(Some(Commands));
        editor.history_mut().set_max_len(KEPT)?;
        if let Some(file) = &file {
            // There is none before the first chat.
            let _ = editor.load_history(file);
        }
        Ok(Self { editor: Mutex::new(editor), left: Mutex::default(), is_outlived: AtomicBool::new(false), file })
    }

    /// Reads the next line. One that `is_own` is at hand later. Dropping the future leaves the person at the
    /// prompt: what they type there is no answer, and stands at the next own prompt, to be sent or not.
    pub(super) async fn next(self: &Arc<Self>, prompt: &str, is_own: bool) -> Result<Line, Fault> {
        let (done, told) = oneshot::channel();
        let (lines, prompt) = (self.clone(), prompt.to_owned());
        // A thread of its own: a runtime that ends would wait for one of its own until somebody types.
        let reader = thread::Builder::new().name("chat".into()).spawn(move || lines.read(&prompt, is_own, done));
        reader.map_err(|error| Fault::usage(format!("the terminal cannot be read: {error}")))?;
        let mut waiting = Waiting { lines: self, told, is_told: false };
        let line = (&mut waiting.told).await;
        waiting.is_told = true;
        line.unwrap_or(Ok(Line::End))
    }

    /// Whether the person is still at the prompt of a question that is over. The next line waits for them to leave it.
    pub(super) fn is_outlived(&self) -> bool {
        self.is_outlived.load(Ordering::SeqCst)
    }

    fn left(&self) -> MutexGuard<'_, String> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, prompt: &str, is_own: bool, done: oneshot::Sender<Result<Line, Fault>>) {
        let mut editor = self.editor.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is asked what nobody wants to know any more.
        if !done.is_closed() {
            let initial = if is_own { mem::take(&mut *self.left()) } else { String::new() };
            let line = self.line(&mut editor, prompt, is_own, &initial);
            if let Err(Ok(Line::Text(text))) = done.send(line)
                && !text.trim().is_empty()
            {
                *self.left() = text;
            }
        }
        self.is_outlived.store(false, Ordering::SeqCst);
    }

    /// A line that begins with what is there already.
    fn line(
        &self,
        editor: &mut Editor<Commands, FileHistory>,
        prompt: &str,
        is_own: bool,
        initial: &str,
    ) -> Result<Line, Fault> {
        match editor.readline_with_initial(prompt, (initial, "")) {
            Ok(text) => {
                if is_own && !text.trim().is_empty() {
                    self.keep(editor, &text);
                }
                Ok(Line::Text(text))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(Fault::usage(format!("the terminal cannot be read: {error}"))),
        }
    }

    /// Keeps a line behind those of other chats. Nobody else may read what was typed; rustyline makes the file like that.
    fn keep(&self, editor: &mut Editor<Commands, FileHistory>, text: &str) {
        let _ = editor.add_history_entry(text);
        let Some(file) = &self.file else { return };
        let kept = file.parent().map_or(Ok(()), fs::create_dir_all).map_err(ReadlineError::from);
        if let Err(error) = kept.and_then(|()| editor.append_history(file)) {
            tracing::debug!(%error, "what was typed is not kept");
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Somebody who waits for a line.
struct Waiting<'a> {
    lines: &'a Lines,
    told: oneshot::Receiver<Result<Line, Fault>>,
    is_told: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        // First: whoever reads takes it back once they find nobody to tell.
        self.lines.is_outlived.store(true, Ordering::SeqCst);
        self.told.close();
        if let Ok(Ok(line)) = self.told.try_recv() {
            self.lines.is_outlived.store(false, Ordering::SeqCst);
            if let Line::Text(text) = line
                && !text.trim().is_empty()
            {
                *self.lines.left() = text;
            }
        }
    }
}

/// The same place for questions while a call waits. Ctrl-C there gives the whole turn up.
#[derive(Debug)]
pub(super) struct Prompt {
    lines: Arc<Lines>,
    given_up: Arc<Notify>,
}

impl Prompt {
    pub(super) fn new(lines: Arc<Lines>, given_up: Arc<Notify>) -> Self {
        Self { lines, given_up }
    }
}

#[async_trait]
impl Typed for Prompt {
    fn forget(&self) {
        tty::forget_typed();
    }

    async fn line(&self, prompt: &str) -> Option<String> {
        match self.lines.next(prompt, false).await {
            Ok(Line::Text(text)) => Some(text),
            Ok(Line::Interrupted) => {
                self.given_up.notify_one();
                // Whoever waits for this is dropped; an answer would be one to the question.
                std::future::pending().await
            }
            Ok(Line::End) | Err(_) => None,
        }
    }
}

/// Completes the names of commands.
struct Commands;

impl Completer for Commands {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..at];
        let fits = |name: &&&str| typed.starts_with('/') && name.starts_with(typed);
        Ok((0, NAMES.iter().filter(fits).map(|name| format!("{name} ")).collect()))
    }
}

impl Hinter for Commands {
    type Hint = String;
}

impl Highlighter for Commands {}
impl Validator for Commands {}
impl Helper for Commands {}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_two_chats_were_told_is_at_hand_in_the_third() {
        let dir = std::env::temp_dir().join(format!("omni-chat-{}", Uuid::now_v7()));
        let begin = || Lines::of(Some(dir.join("chat_history"))).unwrap();
        let (one, other) = (begin(), begin());
        for (chat, text) in [(&one, "a"), (&other, "b"), (&one, "c"), (&other, "d")] {
            chat.keep(&mut chat.editor.lock().unwrap(), text);
        }
        let third = begin();
        fs::remove_dir_all(&dir).unwrap();
        let editor = third.editor.lock().unwrap();
        let mut at_hand: Vec<&str> = editor.history().iter().map(String::as_str).collect();
        at_hand.sort_unstable();
        assert_eq!(at_hand, ["a", "b", "c", "d"]);
    }
}
