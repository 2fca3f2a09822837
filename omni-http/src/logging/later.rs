//! What spans hold is written out when a line of the log shows it: every request has spans, and few have a line.

use std::{error::Error, fmt, marker::PhantomData, ops::Range};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    field::VisitOutput as _,
    fmt::{
        self as lines, FormattedFields,
        format::{DefaultFields, DefaultVisitor, JsonFields, JsonVisitor, Writer},
    },
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

/// A layer of lines without colours, which finds what spans hold where it looks for it.
pub(super) struct Later<L, N> {
    lines: L,
    fields: PhantomData<fn(N)>,
}

impl<S, N, E, W> Later<lines::Layer<S, N, E, W>, N> {
    pub(super) fn new(lines: lines::Layer<S, N, E, W>) -> Self {
        Self { lines, fields: PhantomData }
    }
}

impl<S, L, N> Layer<S> for Later<L, N>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S>,
    N: Fields,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        let mut held = Held::with_capacity(attributes.fields().len());
        attributes.record(&mut held);
        span.extensions_mut().replace(held);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        // Not in place: what writes itself may log something in the middle of that, which reads what the span holds.
        let mut more = Held::with_capacity(values.len());
        values.record(&mut more);
        if let Some(held) = span.extensions_mut().get_mut::<Held>() {
            held.append(more);
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        // Of an event that names its parent a line may show the spans around it all the same.
        let innermost = cx.event_span(event).into_iter().chain(cx.lookup_current());
        for span in innermost.flat_map(|span| span.scope()) {
            write::<N, S>(&span);
        }
        self.lines.on_event(event, cx);
    }
}

/// Writes out what a span holds, unless that was done.
fn write<'a, N: Fields, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) {
    if span.extensions().get::<Held>().is_none_or(|held| held.is_written) {
        return;
    }
    let mut extensions = span.extensions_mut();
    let Some(held) = extensions.get_mut::<Held>() else { return };
    let mut written = FormattedFields::<N>::new(String::new());
    // What cannot be written leaves the line without it.
    let _ = N::write(written.as_writer(), held);
    held.is_written = true;
    extensions.replace(written);
}

/// How the library writes what a span holds.
pub(super) trait Fields: 'static {
    fn write(writer: Writer<'_>, held: &Held) -> fmt::Result;
}

impl Fields for DefaultFields {
    fn write(writer: Writer<'_>, held: &Held) -> fmt::Result {
        let mut visitor = DefaultVisitor::new(writer, true);
        held.tell(&mut visitor);
        visitor.finish()
    }
}

impl Fields for JsonFields {
    fn write(mut writer: Writer<'_>, held: &Held) -> fmt::Result {
        let mut visitor = JsonVisitor::new(&mut writer);
        held.tell(&mut visitor);
        visitor.finish()
    }
}

/// What a span holds, in the order in which it was told.
pub(super) struct Held {
    values: Vec<(Field, Value)>,
    /// All texts, one after the other.
    texts: String,
    is_written: bool,
}

enum Value {
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    /// Where it is among the texts.
    Text(Range<usize>),
    Bytes(Box<[u8]>),
    Error(Box<Kept>),
    /// Where it is among the texts, as it is to be written.
    Written(Range<usize>),
}

impl Value {
    /// The same where so many bytes of other texts stand before its own.
    fn behind(self, shift: usize) -> Self {
        let moved = |at: Range<usize>| at.start + shift..at.end + shift;
        match self {
            Self::Text(at) => Self::Text(moved(at)),
            Self::Written(at) => Self::Written(moved(at)),
            other => other,
        }
    }
}

/// An error that was told.
#[derive(Debug)]
struct Kept {
    text: String,
    source: Option<Box<Self>>,
}

impl Kept {
    fn of(error: &(dyn Error + 'static)) -> Self {
        Self { text: error.to_string(), source: error.source().map(|source| Box::new(Self::of(source))) }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Kept {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl Held {
    fn with_capacity(fields: usize) -> Self {
        Self { values: Vec::with_capacity(fields), texts: String::new(), is_written: false }
    }

    fn append(&mut self, more: Self) {
        let shift = self.texts.len();
        self.texts.push_str(&more.texts);
        self.values.extend(more.values.into_iter().map(|(field, value)| (field, value.behind(shift))));
        self.is_written = false;
    }

    fn text(&self, at: &Range<usize>) -> &str {
        self.texts.get(at.clone()).unwrap_or_default()
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.values.push((field.clone(), value));
    }

    fn tell(&self, visitor: &mut dyn Visit) {
        for (field, value) in &self.values {
            match value {
                Value::Bool(value) => visitor.record_bool(field, *value),
                Value::Int(value) => visitor.record_i64(field, *value),
                Value::Unsigned(value) => visitor.record_u64(field, *value),
                Value::Float(value) => visitor.record_f64(field, *value),
                Value::Text(at) => visitor.record_str(field, self.text(at)),
                Value::Bytes(value) => visitor.record_bytes(field, value),
                Value::Error(value) => visitor.record_error(field, &**value),
                Value::Written(at) => visitor.record_debug(field, &format_args!("{}", self.text(at))),
            }
        }
    }
}

impl Visit for Held {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Float(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let from = self.texts.len();
        self.texts.push_str(value);
        self.put(field, Value::Text(from..self.texts.len()));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.put(field, Value::Bytes(value.into()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, Value::Error(Box::new(Kept::of(value))));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let from = self.texts.len();
        // What says no in the middle of itself is shown as far as it came.
        let _ = fmt::write(&mut self.texts, format_args!("{value:?}"));
        self.put(field, Value::Written(from..self.texts.len()));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing::{Level, debug_span, field::Empty, info, info_span, subscriber::with_default};
    use tracing_subscriber::{Registry, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Sink {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    impl Sink {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Spans that are shown before and after more is known of them, with what a terminal would obey.
    fn happen() {
        let cause = io::Error::other("the \u{1b}[1mcause");
        let error = io::Error::other(Kept { text: "e\u{1b}[0m".into(), source: Some(Box::new(Kept::of(&cause))) });
        let error: &(dyn Error + 'static) = &error;
        let outer = info_span!("outer", id = %"a\u{1b}[31mb", text = "c\u{1b}]0;d\n\"", b = Empty, a = Empty, late = Empty, error);
        let _outer = outer.enter();
        info!("first");
        info!(own = 1, "again");
        outer.record("a", -2.5);
        outer.record("b", 3_u64);
        outer.record("a", &[1_u8, 2][..]);
        outer.record("late", "ë");
        outer.record("late", tracing::field::debug("f\n"));
        let other = info_span!(parent: None, "other", big = u64::MAX);
        let inner = info_span!("inner", yes = true, debug = ?Some("x"), nothing = Empty, less = -1);
        inner.in_scope(|| info!(parent: &other, "elsewhere"));
        inner.in_scope(|| info!(parent: None, "nowhere"));
        inner.in_scope(|| debug_span!("unseen", id = 1).in_scope(|| info!("last")));
        info_span!("bare").in_scope(|| info!("without"));
        info_span!("unheard", id = 1).in_scope(|| {});
    }

    fn shown<L: Layer<Registry> + Send + Sync>(layer: impl FnOnce(Sink) -> L) -> String {
        let sink = Sink::default();
        let layer = layer(sink.clone()).with_filter(Targets::new().with_default(Level::INFO));
        with_default(registry().with(layer), happen);
        sink.text()
    }

    #[test]
    fn lines_show_what_the_librarys_own_show() {
        let plain = |sink| lines::layer().without_time().with_ansi(false).with_writer(sink);
        let (later, own) = (shown(|sink| Later::new(plain(sink))), shown(plain));
        assert_eq!(later, own);
        assert!(own.lines().count() == 6 && !own.contains("unseen"), "{own}");
        assert!(own.contains("late=\"ë\" late=\"f\\n\""), "{own}");
        assert!(own.contains(r"error=e\x1b[0m error.sources=[") && own.contains("a=-2.5 b=3 a="), "{own}");
        let json = |sink| plain(sink).json().flatten_event(true).with_current_span(false);
        let (later, own) = (shown(|sink| Later::new(json(sink))), shown(json));
        assert_eq!(later, own);
        assert!(own.contains(r#""a":[1,2]"#), "{own}");
    }
}
