//! How the pool treats a server, as its entry says, then what holds for all servers.

use std::time::Duration;

use super::{super::load::Findings, Entry};
use crate::{
    config::{Severity, yaml::Lines},
    mcp::{BreakerOptions, ServerOptions},
};

impl Entry<'_> {
    pub(super) fn options(&self, findings: &mut Findings) -> ServerOptions {
        let default = ServerOptions::default();
        let (spec, mcps) = (self.spec, self.source.mcps);
        let call_timeout = self.call_timeout(default.call_timeout, findings);
        let attempts = |attempts: Option<u32>| attempts.filter(|attempts| *attempts > 0);
        let retry = attempts(spec.retry.max_attempts).or_else(|| attempts(mcps.global.retry.max_attempts));
        let number = |value: Option<u32>| value.filter(|value| *value > 0).and_then(|value| value.try_into().ok());
        ServerOptions {
            display_name: spec.display_name.clone(),
            description: spec.description.clone(),
            enabled: spec.enabled.unwrap_or(true),
            sharing: self.sharing(),
            connect: spec.connect.unwrap_or_default(),
            on_start_failure: spec.on_start_failure.unwrap_or_default(),
            call_timeout,
            connect_timeout: findings.seconds(
                spec.connect_timeout_seconds,
                call_timeout.min(Duration::from_secs(30)),
                self.source.mcps_lines,
                &self.at("connect_timeout_seconds"),
            ),
            max_concurrent: number(spec.max_concurrent).unwrap_or(default.max_concurrent),
            max_output_chars: number(spec.max_output_chars).unwrap_or(default.max_output_chars),
            retry_safe: self.retry_safe(findings),
            max_attempts: retry.unwrap_or(default.max_attempts),
            retry_delay: self.retry_delay(default.retry_delay, findings),
            keep_alive: self.keep_alive(default.keep_alive, findings),
            idle_close: self.own(spec.idle_close_seconds, "idle_close_seconds", default.idle_close, findings),
            max_age: self.max_age(default.max_age, findings),
            refresh: self.refresh(default.refresh, findings),
            breaker: self.breaker(default.breaker, findings),
            trusted: spec.trusted,
            pin: spec.pin.unwrap_or(self.source.settings.tools.pin).into(),
            calls_per_minute: self.calls(spec.rate_limit.requests_per_minute),
            calls_burst: self.calls(spec.rate_limit.burst),
        }
    }

    fn call_timeout(&self, default: Duration, findings: &mut Findings) -> Duration {
        let (settings, lines) = (self.source.settings.mcp.request_timeout_seconds, self.source.mcps_lines);
        let timeout = findings.seconds(settings, default, self.source.settings_lines, "mcp.request_timeout_seconds");
        let global = self.source.mcps.global.default_timeout_seconds;
        let timeout = findings.seconds(global, timeout, lines, "global.default_timeout_seconds");
        findings.seconds(self.spec.timeout_seconds, timeout, lines, &self.at("timeout_seconds"))
    }

    fn retry_delay(&self, default: Duration, findings: &mut Findings) -> Duration {
        let lines = self.source.mcps_lines;
        let global = self.source.mcps.global.retry.delay_seconds;
        let delay = span(findings, global, Some(default), lines, "global.retry.delay_seconds");
        let own = self.spec.retry.delay_seconds;
        self.own(own, "retry.delay_seconds", delay, findings).unwrap_or(Duration::ZERO)
    }

    fn keep_alive(&self, default: Option<Duration>, findings: &mut Findings) -> Option<Duration> {
        const KEY: &str = "health_check_interval_seconds";
        let settings = self.source.settings.mcp.health_check_interval_seconds;
        let every = span(findings, settings, default, self.source.settings_lines, &format!("mcp.{KEY}"));
        let global = self.source.mcps.global.health_check_interval_seconds;
        let every = span(findings, global, every, self.source.mcps_lines, &format!("global.{KEY}"));
        self.own(self.spec.keep_alive_seconds, "keep_alive_seconds", every, findings)
    }

    fn max_age(&self, default: Option<Duration>, findings: &mut Findings) -> Option<Duration> {
        const KEY: &str = "retry.connection_max_age_seconds";
        let global = self.source.mcps.global.retry.connection_max_age_seconds;
        let age = span(findings, global, default, self.source.mcps_lines, &format!("global.{KEY}"));
        self.own(self.spec.retry.connection_max_age_seconds, KEY, age, findings)
    }

    fn refresh(&self, default: Option<Duration>, findings: &mut Findings) -> Option<Duration> {
        const KEY: &str = "discovery_interval_minutes";
        let minutes = |minutes: Option<f64>| minutes.map(|minutes| minutes * 60.0);
        let (settings, global) = (&self.source.settings.mcp, &self.source.mcps.global);
        let lines = self.source.settings_lines;
        let every = span(findings, minutes(settings.discovery_interval_minutes), default, lines, &format!("mcp.{KEY}"));
        let lines = self.source.mcps_lines;
        let every = span(findings, minutes(global.discovery_interval_minutes), every, lines, &format!("global.{KEY}"));
        let every = every.filter(|_| global.auto_discovery_enabled != Some(false));
        self.own(self.spec.refresh_seconds, "refresh_seconds", every, findings)
    }

    fn breaker(&self, default: BreakerOptions, findings: &mut Findings) -> BreakerOptions {
        let (own, all) = (&self.spec.breaker, &self.source.mcps.global.breaker);
        let mut time = |own: Option<f64>, all: Option<f64>, default: Duration, key: &str| {
            let lines = self.source.mcps_lines;
            let time = findings.seconds(all, default, lines, &format!("global.breaker.{key}"));
            findings.seconds(own, time, lines, &self.at(&format!("breaker.{key}")))
        };
        BreakerOptions {
            failures: own.failures.or(all.failures).unwrap_or(default.failures),
            window: time(own.window_seconds, all.window_seconds, default.window, "window_seconds"),
            pause: time(own.pause_seconds, all.pause_seconds, default.pause, "pause_seconds"),
            max_pause: time(own.max_pause_seconds, all.max_pause_seconds, default.max_pause, "max_pause_seconds"),
            probes: own.probes.or(all.probes).unwrap_or(default.probes).max(1),
        }
    }

    /// A time of this server's own; 0 is none.
    fn own(
        &self,
        seconds: Option<f64>,
        key: &str,
        default: Option<Duration>,
        findings: &mut Findings,
    ) -> Option<Duration> {
        span(findings, seconds, default, self.source.mcps_lines, &self.at(key))
    }
}

/// A time, where 0 is none.
fn span(
    findings: &mut Findings,
    seconds: Option<f64>,
    default: Option<Duration>,
    lines: &Lines,
    path: &str,
) -> Option<Duration> {
    let Some(seconds) = seconds else { return default };
    let time = Duration::try_from_secs_f64(seconds).ok().filter(|time| time.as_secs_f64() <= LONGEST);
    if time.is_none() {
        let message = format!("a time must be at least 0 and at most {LONGEST} seconds, not {seconds}");
        findings.all.push(lines.finding(Severity::Error, path, message));
    }
    time.map_or(default, |time| Some(time).filter(|time| !time.is_zero()))
}

/// A week.
const LONGEST: f64 = 604_800.0;
