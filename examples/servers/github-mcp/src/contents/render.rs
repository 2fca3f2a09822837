//! What is at a path, for reading.

use super::{Contents, Entry, Kind, window::Lines};
use crate::text::{count, line, thousands};

/// Most characters of a name or an address.
const MAX_NAME: usize = 300;
/// GitHub lists no more of a directory.
const MAX_ENTRIES: usize = 1_000;

pub(super) fn text(contents: &Contents) -> String {
    let mut lines = vec![head(contents)];
    if contents.has_moved {
        lines.push("The repository has another name now; GitHub redirected the request.".into());
    }
    lines.extend(contents.html_url.as_deref().map(|url| line(url, MAX_NAME)));
    if let Some(entries) = &contents.entries {
        lines.push(String::new());
        lines.extend(entries.iter().map(entry));
    }
    if let (Some(shown), Some(text)) = (&contents.lines, &contents.text) {
        lines.extend(range(shown));
        lines.push(String::new());
        lines.push(text.clone());
    }
    lines.join("\n")
}

fn head(contents: &Contents) -> String {
    let place = format!("`{}` in {}/{}", contents.path, contents.owner, contents.repo);
    let revision = contents.revision.as_deref().map(|revision| format!(" at `{revision}`")).unwrap_or_default();
    let name = |text: &Option<String>| line(text.as_deref().unwrap_or("an unknown place"), MAX_NAME);
    let what = match (contents.kind, contents.is_binary, &contents.lines) {
        (Kind::Directory, ..) => listing(contents.entries.as_deref().unwrap_or_default()),
        (Kind::Symlink, ..) => {
            format!("a symbolic link to `{}`, which is no file of this repository", name(&contents.target))
        }
        (Kind::Submodule, ..) => {
            let commit = line(contents.sha.as_deref().unwrap_or_default(), MAX_NAME);
            format!("a submodule: commit {commit} of {}. Read it there", name(&contents.submodule_git_url))
        }
        (Kind::File, Some(true), _) => {
            format!("a file of {}, binary or not UTF-8; its bytes are not shown", size(contents))
        }
        (Kind::File, _, Some(Lines { total: Some(total), .. })) => {
            format!("a file of {}, {}", size(contents), count(*total, "line", "lines"))
        }
        (Kind::File, ..) => format!("a file of {}", size(contents)),
    };
    format!("{place}{revision}: {what}.")
}

fn size(contents: &Contents) -> String {
    count(contents.size.unwrap_or_default(), "byte", "bytes")
}

fn listing(entries: &[Entry]) -> String {
    let many = count(entries.len() as u64, "entry", "entries");
    let rest = if entries.len() >= MAX_ENTRIES { "; GitHub lists no more of it" } else { "" };
    format!("a directory of {many}{rest}")
}

fn entry(entry: &Entry) -> String {
    let name = line(&entry.name, MAX_NAME);
    match (entry.kind, entry.size) {
        (Kind::Directory, _) => format!("{name}/"),
        (Kind::Symlink, _) => format!("{name} (symbolic link)"),
        (Kind::Submodule, _) => format!("{name} (submodule)"),
        (Kind::File, size) => format!("{name} ({})", count(size.unwrap_or_default(), "byte", "bytes")),
    }
}

/// Which lines are here, unless all of them are.
fn range(lines: &Lines) -> Option<String> {
    let is_whole = lines.start <= 1 && lines.next.is_none() && lines.total.is_some() && !lines.is_line_cut;
    if is_whole {
        return None;
    }
    let of = lines.total.map(|total| format!(" of {}", thousands(total))).unwrap_or_default();
    let mut told = format!("Lines {} to {}{of} are shown", thousands(lines.start), thousands(lines.end));
    if lines.is_line_cut {
        told.push_str("; the line is too long to be shown whole, and the rest of it cannot be read");
    }
    match (lines.next, lines.total) {
        (Some(next), _) => told.push_str(&format!("; read on with start_line={next}.")),
        (None, None) => told.push_str("; the file goes on, and is too large to be read further."),
        (None, Some(_)) => told.push('.'),
    }
    Some(told)
}
