//! What was found, for reading.

use super::{Found, MAX_RESULTS, Repository};
use crate::text::{count, line, thousands};

/// Most characters of a description in the list, and most topics.
const MAX_DESCRIPTION: usize = 300;
const MAX_TOPICS: usize = 8;

pub(super) fn text(query: &str, found: &Found) -> String {
    let mut lines = vec![head(query, found)];
    for (place, repository) in found.items.iter().enumerate() {
        let place = u64::from(found.page - 1) * u64::from(found.per_page) + place as u64 + 1;
        lines.push(String::new());
        lines.extend(entry(place, repository));
    }
    lines.join("\n")
}

fn head(query: &str, found: &Found) -> String {
    let fit = if found.total_count == 1 { "fits" } else { "fit" };
    let mut head = format!("{} {fit} `{query}`", count(found.total_count, "repository", "repositories"));
    if !found.items.is_empty() {
        let first = u64::from(found.page - 1) * u64::from(found.per_page) + 1;
        let last = first + found.items.len() as u64 - 1;
        head.push_str(&format!(", {} to {} shown", thousands(first), thousands(last)));
    } else if found.total_count > 0 {
        head.push_str(&format!(", none of them on page {}", found.page));
    }
    if let Some(next) = found.next_page {
        head.push_str(&format!("; go on with page={next}"));
    }
    head.push('.');
    if found.total_count > u64::from(MAX_RESULTS) {
        head.push_str(&format!(" GitHub gives out the first {}.", thousands(u64::from(MAX_RESULTS))));
    }
    if found.incomplete_results {
        head.push_str(" GitHub ran out of time: there may be more.");
    }
    head
}

fn entry(place: u64, repository: &Repository) -> Vec<String> {
    let mut facts = vec![count(repository.stargazers_count, "star", "stars")];
    facts.extend(repository.language.as_deref().map(|language| line(language, 40)));
    facts.extend(day(repository.updated_at.as_deref()).map(|day| format!("updated {day}")));
    let flags = [(repository.private, "private"), (repository.fork, "fork"), (repository.archived, "archived")];
    facts.extend(flags.into_iter().filter(|(is_so, _)| *is_so).map(|(_, flag)| flag.to_owned()));
    let license = repository.more.license.as_ref();
    facts.extend(license.map(|license| line(license.spdx_id.as_ref().unwrap_or(&license.name), 40)));
    let mut lines = vec![format!("{place}. {}: {}", line(&repository.full_name, 150), facts.join(", "))];
    lines.extend(repository.description.as_deref().map(|text| format!("   {}", line(text, MAX_DESCRIPTION))));
    if !repository.topics.is_empty() {
        let topics: Vec<String> = repository.topics.iter().take(MAX_TOPICS).map(|topic| line(topic, 50)).collect();
        lines.push(format!("   topics: {}", topics.join(", ")));
    }
    lines.push(format!("   {}", line(&repository.html_url, 300)));
    lines
}

/// The day of a time as GitHub writes it.
fn day(time: Option<&str>) -> Option<&str> {
    time?.split_once('T').map(|(day, _)| day).filter(|day| day.len() == 10)
}
