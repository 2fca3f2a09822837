//! Pictures of numbers, as SVG that is made here. What stands in one is escaped here too; colours come from the sheet
//! of styles, by class.

use std::fmt::{self, Write as _};

use askama::filters::HtmlSafe;

/// A picture's own measures; pages scale it.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 196.0;
/// Room for the numbers on the left, and for the names below.
const LEFT: f64 = 54.0;
const BELOW: f64 = 28.0;
const ABOVE: f64 = 10.0;
/// How many names stand below.
const NAMES: usize = 6;
/// How far a cell of a strip is from the next one, however many there are.
const BETWEEN: f64 = 3.0;

/// A picture. It is safe to be written into a page as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Svg(String);

impl fmt::Display for Svg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Svg {}

/// One place on the way from left to right: its name, and a value for each series.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) values: Vec<Option<f64>>,
}

/// What is told of a picture: what it is of, what its series are called, and how a value reads.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) title: &'a str,
    pub(super) series: &'a [&'a str],
    pub(super) value: fn(f64) -> String,
}

/// Text as it may stand in a page.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            char => safe.push(char),
        }
    }
    safe
}

/// The next number above whose half is round too.
fn ceiling(most: f64) -> f64 {
    if most <= 0.0 {
        return 2.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let steps = [2.0, 4.0, 6.0, 8.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= most).unwrap_or(most)
}

/// The frame of a picture: its lines across, and what they stand for.
fn frame(told: Told<'_>, columns: &[Column], top: f64, inside: &str) -> Svg {
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escaped(told.title)
    );
    for step in 0..=2 {
        let share = f64::from(step) / 2.0;
        let y = ABOVE + (1.0 - share) * inner_height();
        let text = escaped(&(told.value)(top * share));
        let _ = write!(svg, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        let _ = write!(svg, "<text class=\"axis end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>", LEFT - 6.0, y + 4.0);
    }
    let every = columns.len().div_ceil(NAMES).max(1);
    for (at, column) in columns.iter().enumerate().filter(|(at, _)| at % every == 0) {
        let x = LEFT + (at as f64 + 0.5) * step_of(columns);
        let name = escaped(&column.name);
        let _ = write!(svg, "<text class=\"axis middle\" x=\"{x:.1}\" y=\"{:.1}\">{name}</text>", HEIGHT - 6.0);
    }
    Svg(svg + inside + "</svg>")
}

fn inner_height() -> f64 {
    HEIGHT - ABOVE - BELOW
}

fn step_of(columns: &[Column]) -> f64 {
    (WIDTH - LEFT) / columns.len().max(1) as f64
}

fn hint(told: Told<'_>, column: &Column) -> String {
    let values = told.series.iter().zip(&column.values);
    let lines = values.filter_map(|(name, value)| value.map(|value| format!("{name} {}", (told.value)(value))));
    escaped(&format!("{}: {}", column.name, lines.collect::<Vec<_>>().join(", ")))
}

/// Bars of values on top of each other.
pub(super) fn bars(told: Told<'_>, columns: &[Column]) -> Svg {
    let sum = |column: &Column| column.values.iter().flatten().sum::<f64>();
    let top = ceiling(columns.iter().map(sum).fold(0.0, f64::max));
    let (step, mut inside) = (step_of(columns), String::new());
    for (at, column) in columns.iter().enumerate() {
        let (x, wide) = (LEFT + at as f64 * step + step * 0.12, step * 0.76);
        let mut y = ABOVE + inner_height();
        let _ = write!(inside, "<g><title>{}</title>", hint(told, column));
        let _ = write!(
            inside,
            "<rect class=\"hit\" x=\"{:.1}\" y=\"{ABOVE}\" width=\"{step:.1}\" height=\"{:.1}\"/>",
            LEFT + at as f64 * step,
            inner_height()
        );
        for (series, value) in column.values.iter().enumerate() {
            let tall = value.unwrap_or(0.0).max(0.0) / top * inner_height();
            if tall > 0.0 {
                y -= tall;
                let _ = write!(
                    inside,
                    "<rect class=\"s{series}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\"/>"
                );
            }
        }
        inside.push_str("</g>");
    }
    frame(told, columns, top, &inside)
}

/// A line for each series, broken where there is nothing.
pub(super) fn lines(told: Told<'_>, columns: &[Column]) -> Svg {
    let values = columns.iter().flat_map(|column| column.values.iter().flatten().copied());
    let top = ceiling(values.fold(0.0, f64::max));
    let (step, mut inside) = (step_of(columns), String::new());
    let place = |at: usize, value: f64| {
        (LEFT + (at as f64 + 0.5) * step, ABOVE + (1.0 - value.max(0.0) / top) * inner_height())
    };
    for series in 0..told.series.len() {
        let (mut path, mut is_open) = (String::new(), false);
        for (at, column) in columns.iter().enumerate() {
            let Some(value) = column.values.get(series).copied().flatten() else {
                is_open = false;
                continue;
            };
            let (x, y) = place(at, value);
            let _ = write!(path, "{}{x:.1} {y:.1}", if is_open { "L" } else { "M" });
            is_open = true;
            let _ = write!(inside, "<circle class=\"s{series}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.2\"/>");
        }
        let _ = write!(inside, "<path class=\"line s{series}\" d=\"{path}\"/>");
    }
    for (at, column) in columns.iter().enumerate() {
        let (x, tall) = (LEFT + at as f64 * step, inner_height());
        let hint = hint(told, column);
        let _ = write!(
            inside,
            "<rect class=\"hit\" x=\"{x:.1}\" y=\"{ABOVE}\" width=\"{step:.1}\" height=\"{tall:.1}\"><title>{hint}</title></rect>"
        );
    }
    frame(told, columns, top, &inside)
}

/// How something went over time: a cell for each portion, its class and what is told of it.
pub(super) fn strip(title: &str, cells: &[(&'static str, String)]) -> Svg {
    // It ends where its last cell does.
    let step = (WIDTH + BETWEEN) / cells.len().max(1) as f64;
    let mut svg = format!(
        "<svg class=\"strip\" viewBox=\"0 0 {WIDTH} 16\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
        escaped(title)
    );
    for (at, (class, told)) in cells.iter().enumerate() {
        let told = escaped(told);
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{:.2}\" width=\"{:.2}\" height=\"16\"><title>{told}</title></rect>",
            at as f64 * step,
            step - BETWEEN
        );
    }
    Svg(svg + "</svg>")
}

/// How full something is.
pub(super) fn meter(title: &str, used: u64, max: u64) -> Svg {
    let class = match percent(used, max) {
        full if full >= 100.0 => "bad",
        much if much >= 80.0 => "warn",
        _ => "ok",
    };
    filled(title, class, percent(used, max))
}

/// How much of the most something is.
pub(super) fn share(title: &str, part: u64, most: u64) -> Svg {
    filled(title, "s0", percent(part, most))
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 100.0 } else { (part as f64 * 100.0 / whole as f64).min(100.0) }
}

fn filled(title: &str, class: &'static str, share: f64) -> Svg {
    Svg(format!(
        "<svg class=\"meter\" viewBox=\"0 0 100 6\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">\
         <rect class=\"track\" width=\"100\" height=\"6\"/><rect class=\"{class}\" width=\"{share:.1}\" height=\"6\"/></svg>",
        escaped(title)
    ))
}

/// When something was done within a whole, in thousandths of it.
pub(super) fn stretch(title: &str, class: &'static str, from: f64, to: f64) -> Svg {
    let (from, to) = (from.clamp(0.0, 1.0) * 1_000.0, to.clamp(0.0, 1.0) * 1_000.0);
    let wide = (to - from).max(4.0);
    let from = from.min(1_000.0 - wide);
    Svg(format!(
        "<svg class=\"stretch\" viewBox=\"0 0 1000 12\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">\
         <rect class=\"track\" width=\"1000\" height=\"12\"/><rect class=\"{class}\" x=\"{from:.1}\" width=\"{wide:.1}\" \
         height=\"12\"/></svg>",
        escaped(title)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: Told<'_> = Told { title: "<b>", series: &["one", "two"], value: |value| format!("{value:.0}") };

    #[test]
    fn names_and_titles_are_text() {
        let columns = [Column { name: "<script>\"".into(), values: vec![Some(3.0), Some(1.0)] }];
        for svg in [bars(TOLD, &columns), lines(TOLD, &columns), strip("<i>", &[("ok", "<u>".into())])] {
            let text = svg.to_string();
            assert!(!text.contains("<script") && !text.contains("<b>") && !text.contains("<u>"), "{text}");
            assert!(!text.contains("style="), "{text}");
        }
        assert!(bars(TOLD, &columns).to_string().contains("&lt;script&gt;&quot;: one 3, two 1"));
    }

    #[test]
    fn a_scale_ends_at_a_round_number_above_everything() {
        assert_eq!([0.0, 0.3, 7.0, 10.0, 1_200.0].map(ceiling), [2.0, 0.4, 8.0, 20.0, 2_000.0]);
    }

    #[test]
    fn a_strip_begins_with_its_first_cell_and_ends_with_its_last() {
        for cells in [1, 7, 24, 30] {
            let svg = strip("health", &vec![("ok", String::new()); cells]).to_string();
            assert!(svg.contains("viewBox=\"0 0 640 16\"") && svg.contains("<rect class=\"ok\" x=\"0.00\""), "{svg}");
            let last = svg.rsplit("<rect").next().unwrap();
            let of = |name: &str| last.split(name).nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap();
            assert!((of("x=\"") + of("width=\"") - WIDTH).abs() < 0.02, "{svg}");
        }
    }

    #[test]
    fn a_line_is_broken_where_there_is_nothing() {
        let columns = [Some(1.0), None, Some(2.0)].map(|value| Column { name: "x".into(), values: vec![value] });
        let svg = lines(Told { series: &["one"], ..TOLD }, &columns).to_string();
        assert_eq!((svg.matches(" d=\"M").count(), svg.matches('L').count()), (1, 0), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 2);
    }
}
