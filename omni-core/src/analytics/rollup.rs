//! Which sums are kept, and of what: each is data, from which both the keeping and the reading of what is not summed
//! up yet are made.

/// The table that sums are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Asks and direct calls.
    Logs,
    /// Calls of tools.
    Calls,
}

impl Source {
    pub(super) const ALL: [Self; 2] = [Self::Logs, Self::Calls];

    /// Its table, which is also what its mark is called.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Logs => "audit_logs",
            Self::Calls => "tool_calls",
        }
    }
}

/// A column, and what it is of a row `r` of the source.
pub(super) type Column = (&'static str, &'static str);

/// One table of sums.
#[derive(Debug)]
pub(super) struct Rollup {
    pub(super) table: &'static str,
    pub(super) source: Source,
    /// By what is summed up.
    pub(super) keys: &'static [Column],
    /// What is.
    pub(super) sums: &'static [Column],
    /// Which rows count.
    pub(super) filter: &'static str,
    /// In what portions of time.
    pub(super) grains: &'static [Grain],
}

/// A portion of time, of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    /// A quarter of an hour: what every time zone is made of.
    Quarter,
    /// A day.
    Day,
    /// A month.
    Month,
}

impl Grain {
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Quarter => 0,
            Self::Day => 1,
            Self::Month => 2,
        }
    }
}

impl Rollup {
    /// What a key is of a row.
    pub(super) fn key(&self, name: &str) -> &'static str {
        self.keys.iter().find(|(key, _)| *key == name).map_or("NULL", |(_, value)| value)
    }
}

const EVERY: &[Grain] = &[Grain::Day, Grain::Month];
/// What administrators do is no request.
const REQUEST: &str = "r.request_type <> 'admin' AND r.created_at IS NOT NULL";
const EMAIL: Column = ("user_email", "coalesce(r.user_email, '')");
const STATUS: Column = ("status", "coalesce(r.status, '')");
const SOURCE: Column = ("source", "coalesce(r.source, '')");
const SERVER: Column = ("server", "r.server");
const TOOL: Column = ("tool", "r.tool");
const COUNT: &str = "1";
const COST: Column = ("cost", "coalesce(r.cost_nano_usd, 0)");
const INPUT: Column = ("input", "coalesce(r.tokens_input, 0)");
const OUTPUT: Column = ("output", "coalesce(r.tokens_output, 0)");
const CACHED: Column = ("cached", "coalesce(r.tokens_cached, 0)");
const WRITTEN: Column = ("cache_write", "coalesce(r.tokens_cache_write, 0)");
/// Neither answered nor refused nor given up.
const FAILED: &str = "CASE WHEN r.status IN ('error', 'timeout', 'unknown_outcome') THEN 1 ELSE 0 END";
/// What came to its server.
const SENT: &str = "r.sent";

/// A duration without all but its five highest bits: its error is at most 1/16 upwards, and whoever reads it takes the
/// middle. Whole numbers alone, so that every database finds the same.
const BUCKET: Column = (
    "bucket",
    "CASE WHEN coalesce(r.duration_ms, 0) < 32 THEN coalesce(r.duration_ms, 0)
        WHEN r.duration_ms < 64 THEN r.duration_ms / 2 * 2 WHEN r.duration_ms < 128 THEN r.duration_ms / 4 * 4
        WHEN r.duration_ms < 256 THEN r.duration_ms / 8 * 8 WHEN r.duration_ms < 512 THEN r.duration_ms / 16 * 16
        WHEN r.duration_ms < 1024 THEN r.duration_ms / 32 * 32 WHEN r.duration_ms < 2048 THEN r.duration_ms / 64 * 64
        WHEN r.duration_ms < 4096 THEN r.duration_ms / 128 * 128
        WHEN r.duration_ms < 8192 THEN r.duration_ms / 256 * 256
        WHEN r.duration_ms < 16384 THEN r.duration_ms / 512 * 512
        WHEN r.duration_ms < 32768 THEN r.duration_ms / 1024 * 1024
        WHEN r.duration_ms < 65536 THEN r.duration_ms / 2048 * 2048
        WHEN r.duration_ms < 131072 THEN r.duration_ms / 4096 * 4096
        WHEN r.duration_ms < 262144 THEN r.duration_ms / 8192 * 8192
        WHEN r.duration_ms < 524288 THEN r.duration_ms / 16384 * 16384
        ELSE r.duration_ms / 32768 * 32768 END",
);

/// Requests, money and tokens by quarter of an hour, for what goes by the days of a time zone.
pub(super) static QUARTERS: Rollup = Rollup {
    table: "analytics_quarters",
    source: Source::Logs,
    keys: &[],
    sums: &[("requests", COUNT), ("failed", FAILED), COST, INPUT, OUTPUT, CACHED, WRITTEN],
    filter: REQUEST,
    grains: &[Grain::Quarter],
};

/// Everything that is said of requests by person, role, door, model and end.
pub(super) static REQUESTS: Rollup = Rollup {
    table: "analytics_requests",
    source: Source::Logs,
    keys: &[EMAIL, ("user_role", "coalesce(r.user_role, '')"), SOURCE, ("model", "coalesce(r.model, '')"), STATUS],
    sums: &[
        ("requests", COUNT),
        ("calls", "coalesce(r.tool_calls_count, 0)"),
        ("iterations", "coalesce(r.iterations, 0)"),
        ("duration_ms", "coalesce(r.duration_ms, 0)"),
        COST,
        ("unpriced", "CASE WHEN r.model IS NOT NULL AND r.cost_nano_usd IS NULL THEN 1 ELSE 0 END"),
        INPUT,
        OUTPUT,
        CACHED,
        WRITTEN,
    ],
    filter: REQUEST,
    grains: EVERY,
};

/// How long requests took that were let in, by door.
pub(super) static WAITS: Rollup = Rollup {
    table: "analytics_waits",
    source: Source::Logs,
    keys: &[SOURCE, BUCKET],
    sums: &[("requests", COUNT)],
    filter: "r.request_type <> 'admin' AND NOT r.was_blocked",
    grains: EVERY,
};

/// Why requests failed.
pub(super) static FAULTS: Rollup = Rollup {
    table: "analytics_faults",
    source: Source::Logs,
    keys: &[STATUS, ("message", "substr(coalesce(r.error_message, ''), 1, 100)")],
    sums: &[("requests", COUNT)],
    filter: "r.request_type <> 'admin' AND NOT r.success",
    grains: EVERY,
};

/// What tools did, and what was refused of them.
pub(super) static CALLS: Rollup = Rollup {
    table: "analytics_calls",
    source: Source::Calls,
    keys: &[SERVER, TOOL, STATUS, ("sent", "CASE WHEN r.sent THEN 1 ELSE 0 END")],
    sums: &[("calls", COUNT), ("duration_ms", "coalesce(r.duration_ms, 0)"), COST, ("bytes", "coalesce(r.bytes, 0)")],
    filter: "r.server <> ''",
    grains: EVERY,
};

/// Which servers people used.
pub(super) static PEOPLE_CALLS: Rollup = Rollup {
    table: "analytics_people_calls",
    source: Source::Calls,
    keys: &[EMAIL, SERVER],
    sums: &[("calls", COUNT), ("failed", FAILED), COST],
    filter: SENT,
    grains: EVERY,
};

/// How long calls took, each by itself.
pub(super) static CALL_WAITS: Rollup = Rollup {
    table: "analytics_call_waits",
    source: Source::Calls,
    keys: &[SERVER, TOOL, BUCKET],
    sums: &[("calls", COUNT)],
    filter: SENT,
    grains: EVERY,
};

/// Why calls failed.
pub(super) static CALL_FAULTS: Rollup = Rollup {
    table: "analytics_call_faults",
    source: Source::Calls,
    keys: &[SERVER, TOOL, STATUS, ("message", "substr(coalesce(r.error, ''), 1, 100)")],
    sums: &[("calls", COUNT)],
    filter: "r.status IN ('error', 'timeout', 'unknown_outcome')",
    grains: EVERY,
};

/// Which rules refused calls.
pub(super) static RULES: Rollup = Rollup {
    table: "analytics_rules",
    source: Source::Calls,
    keys: &[EMAIL, SERVER, TOOL, STATUS, ("rule", "substr(coalesce(r.rule, ''), 1, 200)")],
    sums: &[("calls", COUNT)],
    filter: "r.status IN ('denied', 'rate_limited')",
    grains: EVERY,
};

/// All of them.
pub(super) static ROLLUPS: [&Rollup; 9] =
    [&QUARTERS, &REQUESTS, &WAITS, &FAULTS, &CALLS, &PEOPLE_CALLS, &CALL_WAITS, &CALL_FAULTS, &RULES];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_in_one_portion_of_each_grain_that_its_sums_are_kept_in() {
        for rollup in ROLLUPS {
            assert!(!rollup.grains.is_empty() && rollup.key("no_such") == "NULL", "{}", rollup.table);
        }
    }
}
