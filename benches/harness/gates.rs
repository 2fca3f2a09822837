//! What must hold and what is aimed at, beside what was measured. A gate is held or not; none is moved.

use serde::{Serialize, Serializer};

use super::{
    asks::{ASK, OWN_TOKEN, TOKEN},
    calls::{MODERN, NGINX, SESSION, STRAIGHT},
    list::{LIST, MODERN_LIST},
    report::{Table, figure},
    run::Figures,
};

const MB: f64 = 1e6;

/// How much is enough.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(least) => measured >= least,
            Self::AtMost(most) => measured <= most,
        }
    }

    fn told(self) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::AtMost(most) => format!("≤ {most}"),
        }
    }
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.told())
    }
}

/// One figure and its bounds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Gate {
    what: String,
    unit: &'static str,
    /// Absent where there was nothing to measure it by.
    measured: Option<f64>,
    gate: Option<Bound>,
    gate_held: Option<bool>,
    goal: Option<Bound>,
    goal_held: Option<bool>,
}

impl Gate {
    fn new(what: impl Into<String>, unit: &'static str, measured: Option<f64>) -> Self {
        Self { what: what.into(), unit, measured, gate: None, gate_held: None, goal: None, goal_held: None }
    }

    fn must(mut self, bound: Bound) -> Self {
        (self.gate, self.gate_held) = (Some(bound), self.measured.map(|measured| bound.holds(measured)));
        self
    }

    fn should(mut self, bound: Bound) -> Self {
        (self.goal, self.goal_held) = (Some(bound), self.measured.map(|measured| bound.holds(measured)));
        self
    }

    /// What was not measured does not fail.
    pub(super) fn fails(&self) -> bool {
        self.gate_held == Some(false)
    }
}

/// All of them.
pub(super) fn gates(figures: &Figures) -> Vec<Gate> {
    use Bound::{AtLeast, AtMost};
    let mut gates = Vec::new();
    for way in [SESSION, MODERN] {
        gates.extend(gateway(figures, way));
    }
    let (seen, drained) = (&figures.seen, &figures.drained);
    let each = |count: u64| (seen.results > 0).then(|| count as f64 / seen.results as f64);
    let ask = figures.rows.of(ASK, 16);
    let first =
        figures.rows.of(TOKEN, 1).zip(figures.rows.of(OWN_TOKEN, 1)).map(|(ours, own)| ours.p50_us - own.p50_us);
    let list = |way| figures.rows.of(way, 1).map(|row| row.p50_us / 1e3);
    let (memory, start) = (&figures.memory, &figures.start);
    gates.extend([
        Gate::new("calls that the upstream saw for each result", "", each(seen.calls)).must(AtMost(1.0)),
        // Its list is asked for again every five minutes.
        Gate::new("messages that the upstream saw for each result", "", each(seen.posts)).must(AtMost(1.001)),
        Gate::new("sessions that began at the upstream", "", Some(seen.sessions as f64)).must(AtMost(0.0)),
        Gate::new("ledger, records that wait at the end", "", Some(drained.backlog as f64)).must(AtMost(10_000.0)),
        Gate::new("ledger, until nothing waits", "s", Some(drained.seconds)).must(AtMost(10.0)),
        Gate::new("/chat/ask with one tool call, c=16", "/s", ask.map(|row| row.per_second)).must(AtLeast(4_000.0)),
        Gate::new("/chat/ask with one tool call, c=16, p99", "ms", ask.map(|row| row.p99_us / 1e3)).must(AtMost(10.0)),
        Gate::new("added to a stream's first text, p50", "µs", first).must(AtMost(200.0)),
        Gate::new("list of 1,000 tools, warm, session, p50", "ms", list(LIST)).must(AtMost(2.0)),
        Gate::new("list of 1,000 tools, warm, 2026-07-28, p50", "ms", list(MODERN_LIST)).must(AtMost(2.0)),
        Gate::new("policy decision among 1,000 rules", "µs", Some(figures.decision_us)).must(AtMost(1.0)),
        Gate::new("start of serve without servers", "ms", Some(start.again_ms)).must(AtMost(50.0)),
        Gate::new("start of serve in an empty directory", "ms", Some(start.first_ms)),
        Gate::new("memory, idle, without servers", "MB", Some(start.idle as f64 / MB)).must(AtMost(20.0)),
        Gate::new("memory, idle, with one server", "MB", Some(memory.idle as f64 / MB)).must(AtMost(20.0)),
        Gate::new("memory, 64 busy connections", "MB", Some(memory.busy as f64 / MB)).must(AtMost(60.0)),
        Gate::new("memory, within 60 s after, of idle", "×", Some(memory.after as f64 / memory.idle as f64))
            .must(AtMost(1.2)),
        Gate::new("program, whole", "MB", Some(figures.program_bytes as f64 / MB)).must(AtMost(40.0)),
        Gate::new("program, without Slack and Swagger", "MB", figures.lean_bytes.map(|bytes| bytes as f64 / MB))
            .must(AtMost(25.0)),
    ]);
    gates
}

/// What is asked of calls, whichever revision of the protocol they are of.
fn gateway(figures: &Figures, way: &'static str) -> Vec<Gate> {
    use Bound::{AtLeast, AtMost};
    let of = |what, at_once| figures.rows.of(what, at_once);
    let pair = |at_once| of(way, at_once).zip(of(STRAIGHT, at_once));
    let rate = pair(64).map(|(ours, straight)| ours.per_second / straight.per_second);
    let cpu = of(way, 64).and_then(|row| row.cpu_us).map(|us| us / 1e3);
    let added = pair(1).map(|(ours, straight)| ours.p50_us - straight.p50_us);
    let hop = of(NGINX, 1).zip(of(STRAIGHT, 1)).map(|(hop, straight)| hop.p50_us - straight.p50_us);
    let tail = pair(1).map(|(ours, straight)| ours.p99_us - straight.p99_us);
    vec![
        Gate::new(format!("{way}: calls/s of straight, c=64"), "×", rate).must(AtLeast(0.25)).should(AtLeast(0.4)),
        Gate::new(format!("{way}: CPU for each call, c=64"), "ms", cpu).must(AtMost(0.12)).should(AtMost(0.08)),
        Gate::new(format!("{way}: added p50 of nginx's, c=1"), "×", added.zip(hop).map(|(ours, hop)| ours / hop))
            .must(AtMost(1.5)),
        Gate::new(format!("{way}: added p50, c=1"), "µs", added).should(AtMost(80.0)),
        Gate::new(format!("{way}: p99 over straight's, c=1"), "µs", tail).should(AtMost(250.0)),
    ]
}

/// As people read them.
pub(super) fn table(gates: &[Gate]) -> Table {
    let mut table = Table::new("Gates and goals", &["what", "measured", "gate", "held", "goal", "held"]);
    for gate in gates {
        let measured = gate.measured.map_or("not measured".into(), |value| format!("{} {}", figure(value), gate.unit));
        let bound = |bound: Option<Bound>| bound.map_or(String::new(), Bound::told);
        let held = |bound: Option<Bound>, held: Option<bool>| match (bound, held) {
            (None, _) => String::new(),
            (_, Some(true)) => "yes".to_owned(),
            (_, Some(false)) => "NO".to_owned(),
            (_, None) => "?".to_owned(),
        };
        let (must, should) = (held(gate.gate, gate.gate_held), held(gate.goal, gate.goal_held));
        let cells =
            [gate.what.clone(), measured.trim_end().to_owned(), bound(gate.gate), must, bound(gate.goal), should];
        table.row(cells);
    }
    table
}
