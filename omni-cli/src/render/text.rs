//! Answers for people.

use omni_core::{
    Answer, AnswerEvent,
    answer::{CallStatus, CallSummary, Denial},
};
use owo_colors::Style;

use super::{Ending, Render, counted, error_lines, one_line};
use crate::{
    console::{Console, clean::Cleaner},
    exit::Exit,
    fault::Fault,
};

/// The answer to standard output as it comes; what happens meanwhile to whoever watches standard error.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    console: &'a Console,
    stream: bool,
    cleaner: Cleaner,
    /// Whether something was printed.
    said: bool,
    /// Whether the cursor is within a line of the answer.
    within_line: bool,
}

impl<'a> Text<'a> {
    pub(crate) fn new(console: &'a Console, stream: bool) -> Self {
        Self { console, stream, cleaner: Cleaner::default(), said: false, within_line: false }
    }

    fn print(&mut self, text: &str) -> Result<(), Fault> {
        let clean = self.cleaner.next(text);
        let Some(last) = clean.chars().last() else { return Ok(()) };
        self.console.write(&clean)?;
        self.said = true;
        self.within_line = last != '\n';
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), Fault> {
        if std::mem::take(&mut self.within_line) {
            self.console.write("\n")?;
        }
        Ok(())
    }

    /// Makes room for a message where messages and answer share a screen.
    fn make_room(&mut self) -> Result<(), Fault> {
        if self.console.shared_screen { self.end_line() } else { Ok(()) }
    }

    fn tool_finished(&mut self, call: &CallSummary) -> Result<(), Fault> {
        if !self.console.watched {
            return Ok(());
        }
        self.make_room()?;
        let (mark, style) = mark(call.status);
        let reason = call.error.as_deref().map(|error| format!(": {}", first_line(error))).unwrap_or_default();
        let name = one_line(&full_name(&call.server, &call.tool));
        self.console.marked(mark, style, &format!("{name} {} ms{reason}", call.duration_ms));
        self.console.spinner.show("thinking …");
        Ok(())
    }

    fn warning(&mut self, message: &str) -> Result<(), Fault> {
        self.make_room()?;
        self.console.warning(&one_line(message));
        Ok(())
    }

    /// What it took, for whoever watches.
    fn footer(&self, answer: &Answer) {
        if !self.console.watched || answer.iterations == 0 {
            return;
        }
        let cost = answer.cost.map_or_else(|| "cost unknown".to_owned(), |cost| cost.to_string());
        let model = answer.model.as_deref().unwrap_or("no model");
        let calls = counted(answer.tool_calls.len(), "call");
        let seconds = answer.duration_ms as f64 / 1e3;
        let tokens = counted(answer.usage.total(), "token");
        let style = Style::new().dimmed();
        self.console.marked("—", style, &format!("{model}, {tokens}, {cost}, {calls}, {seconds:.1} s"));
    }

    fn denials(&self, answer: &Answer) {
        for denial in &answer.denials {
            let Denial { server, tool, reason, rule, .. } = denial;
            let tool = one_line(&full_name(server, tool));
            match &**reason {
                "approval" => self.console.warning(&format!("{tool} was not approved")),
                reason => self.console.warning(&format!("{tool} was denied ({reason}): {rule}")),
            }
        }
    }
}

impl Render for Text<'_> {
    fn event(&mut self, event: &AnswerEvent) -> Result<(), Fault> {
        match event {
            AnswerEvent::Started { .. } => self.console.spinner.show("thinking …"),
            AnswerEvent::Text { text } if self.stream => self.print(text)?,
            AnswerEvent::ToolStarted { server, tool, .. } => {
                self.make_room()?;
                self.console.spinner.show(&format!("{server}.{tool} …"));
            }
            AnswerEvent::ToolFinished(call) => self.tool_finished(call)?,
            AnswerEvent::Warning(warning) => self.warning(&warning.message)?,
            // Asked by the approver, shown at the end, or the end itself.
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, ending: &Ending) -> Result<(), Fault> {
        let answer = ending.answer();
        if !self.stream {
            self.print(&answer.text)?;
        }
        self.end_line()?;
        self.console.spinner.clear();
        self.denials(answer);
        if let Err(failure) = &ending.result {
            error_lines(self.console, &failure.error, None);
        } else if ending.exit == Exit::Denied {
            self.console.hint("`omni policy explain` shows which rule decides; --allow-denied accepts such answers");
        }
        self.footer(answer);
        Ok(())
    }
}

/// `server.tool`, or the bare name of what is no tool.
fn full_name(server: &str, tool: &str) -> String {
    if server.is_empty() { tool.to_owned() } else { format!("{server}.{tool}") }
}

fn mark(status: CallStatus) -> (&'static str, Style) {
    match status {
        CallStatus::Ok => ("✓", Style::new().green()),
        CallStatus::Denied | CallStatus::Declined | CallStatus::RateLimited => ("⊘", Style::new().yellow()),
        _ => ("✗", Style::new().red()),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(120).collect()
}
