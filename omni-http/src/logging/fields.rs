//! The fields of spans and events in plain text.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

/// What only an exporter of spans reads (`otel.kind`), and what a record of the `log` crate brings beside its message.
const OF_OTHERS: [&str; 2] = ["otel.", "log."];

/// Writes `message key=value …`, without what only others read.
#[derive(Debug)]
pub(super) struct Plain;

impl<'w> FormatFields<'w> for Plain {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line { writer, is_begun: false, written: Ok(()) };
        fields.record(&mut line);
        line.written
    }
}

struct Line<'w> {
    writer: Writer<'w>,
    is_begun: bool,
    written: fmt::Result,
}

impl Line<'_> {
    fn put(&mut self, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        if std::mem::replace(&mut self.is_begun, true) {
            self.writer.write_char(' ')?;
        }
        if name != "message" {
            self.writer.write_str(name.strip_prefix("r#").unwrap_or(name))?;
            self.writer.write_char('=')?;
        }
        self.writer.write_fmt(value)
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        if self.written.is_ok() && !OF_OTHERS.iter().any(|prefix| name.starts_with(prefix)) {
            self.written = self.put(name, format_args!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"))
        } else {
            self.record_debug(field, &value)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing::field::Empty;
    use tracing_subscriber::{fmt, layer::SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_says_what_people_read_and_not_what_is_for_an_exporter() {
        let log = Log::default();
        let writer = log.clone();
        let lines = fmt::layer().fmt_fields(Plain).with_ansi(false).without_time().with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let span =
                tracing::info_span!("ask", otel.name = "no", request_id = "r\"1", code = Empty, otel.kind = "no");
            span.record("code", 7);
            let error = io::Error::other("it broke");
            span.in_scope(|| tracing::warn!(%error, who = ?Some("ann"), n = 2, "it {} happen", "did"));
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let span = r#"ask{request_id="r\"1" code=7}"#;
        let target = module_path!();
        assert_eq!(text, format!(" WARN {span}: {target}: it did happen error=it broke who=Some(\"ann\") n=2\n"));
    }
}
