//! Reading what Prometheus reads.

/// One scrape.
#[derive(Debug)]
pub struct Scrape(pub String);

impl Scrape {
    /// The value of the series of that name with these labels among its own; the sum, if there are several.
    /// `None` where there is none.
    ///
    /// # Panics
    /// When a value is no number.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let is_it = |series: &str| {
            let (own, rest) = series.split_once('{').unwrap_or((series, ""));
            own == name && labels.iter().all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")))
        };
        let lines = self.0.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        let values = lines.filter(|(series, _)| is_it(series)).map(|(_, value)| value.parse::<f64>().unwrap());
        values.reduce(|sum, value| sum + value)
    }

    /// The same, or zero.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.value(name, labels).unwrap_or(0.0)
    }
}
