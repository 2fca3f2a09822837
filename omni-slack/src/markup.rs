//! What people wrote, from how Slack writes it down.

/// Schemes of links that have no `//`.
const BARE: [&str; 3] = ["mailto", "tel", "sms"];

/// Text as people read it: links with their addresses, people, channels and calls by their names, and `&`, `<` and `>` as
/// themselves. What is no markup of Slack's stays as it is.
///
/// `name` says what somebody is called, by their id; of whom it knows nothing, the name that Slack wrote down or else the
/// id is left.
pub(crate) fn read(text: &str, name: impl Fn(&str) -> Option<String>) -> String {
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        read.push_str(&unescaped(before));
        let end = after.find(['<', '>', '\n']).filter(|end| after[*end..].starts_with('>'));
        match end.and_then(|end| Some((said(&after[..end], &name)?, &after[end + 1..]))) {
            Some((said, left)) => {
                read.push_str(&said);
                rest = left;
            }
            None => {
                read.push('<');
                rest = after;
            }
        }
    }
    read.push_str(&unescaped(rest));
    read
}

/// What stands between `<` and `>`; `None` where it is no markup.
fn said(inner: &str, name: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (target, label) = inner.split_once('|').unwrap_or((inner, ""));
    let (target, label) = (unescaped(target), unescaped(label));
    let label = Some(label).filter(|label| !label.trim().is_empty());
    if let Some(id) = target.strip_prefix('@') {
        return is_word(id).then(|| format!("@{}", name(id).or(label).unwrap_or_else(|| id.to_owned())));
    }
    if let Some(id) = target.strip_prefix('#') {
        return is_word(id).then(|| format!("#{}", label.unwrap_or_else(|| id.to_owned())));
    }
    match target.strip_prefix('!') {
        Some(call) => called(call, label),
        None => linked(&target, label),
    }
}

/// `@here` and its like, groups of people, and whatever else Slack writes with a text in its place.
fn called(call: &str, label: Option<String>) -> Option<String> {
    if is_word(call) {
        return Some(format!("@{call}"));
    }
    match call.strip_prefix("subteam^") {
        Some(id) => Some(format!("@{}", label.as_deref().unwrap_or(id).trim_start_matches('@'))),
        None => label,
    }
}

fn linked(target: &str, label: Option<String>) -> Option<String> {
    let (scheme, rest) = target.split_once(':')?;
    let is_link = is_scheme(scheme) && (rest.starts_with("//") || (BARE.contains(&scheme) && !rest.is_empty()));
    if !is_link || target.contains(char::is_whitespace) {
        return None;
    }
    let bare = rest.trim_start_matches('/');
    Some(match label {
        _ if scheme == "mailto" => rest.split('?').next().unwrap_or(rest).to_owned(),
        // Slack makes links of the names of hosts and files: such a name is what somebody typed.
        Some(label) if scheme != "https" && label == bare => label,
        Some(label) if is_same(&label, target) || is_same(&label, bare) => target.to_owned(),
        Some(label) => format!("{label} ({target})"),
        None => target.to_owned(),
    })
}

fn is_same(label: &str, address: &str) -> bool {
    label.trim_end_matches('/') == address.trim_end_matches('/')
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'))
}

/// Slack writes three characters as entities.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::view::check;

    fn read(text: &str) -> String {
        super::read(text, |id| (id == "U0ANN").then(|| "Ann".to_owned()))
    }

    #[test]
    fn links_people_channels_and_calls_are_read_as_people_read_them() {
        for (written, said) in [
            ("<mailto:bob@company.com|bob@company.com>", "bob@company.com"),
            ("<mailto:bob@company.com?subject=x|Bob>", "bob@company.com"),
            ("<https://ex.com/?a=1&amp;b=2|ex.com>", "ex.com (https://ex.com/?a=1&b=2)"),
            ("<https://ex.com/?a=1&amp;b=2>", "https://ex.com/?a=1&b=2"),
            ("<https://ex.com/|ex.com>", "https://ex.com/"),
            ("<https://ex.com|https://ex.com/>", "https://ex.com"),
            ("<http://db-7.prod.example|db-7.prod.example>", "db-7.prod.example"),
            ("<http://main.rs|main.rs>", "main.rs"),
            ("<http://evil.example|bank.example>", "bank.example (http://evil.example)"),
            ("<https://a.example|a &amp; b>", "a & b (https://a.example)"),
            ("<tel:+4912|+4912>", "+4912"),
            ("<@U0ANN> and <@U0EVE> and <@W1|eve>", "@Ann and @U0EVE and @eve"),
            ("<#C0OPS|ops> <#C0OPS|> <#C0OPS>", "#ops #C0OPS #C0OPS"),
            ("<!here> <!channel|@channel>", "@here @channel"),
            ("<!subteam^S1|@dbas> <!subteam^S1>", "@dbas @S1"),
            ("<!date^1780000000^{date}|May 28>", "May 28"),
        ] {
            assert_eq!(read(written), said, "{written}");
        }
    }

    #[test]
    fn what_somebody_typed_is_read_once_and_what_is_no_markup_stays() {
        for (written, said) in [
            ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
            ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
            ("&lt;@U0ANN&gt;", "<@U0ANN>"),
            ("a <b> <", "a <b> <"),
            ("Vec<std::string::String>", "Vec<std::string::String>"),
            ("<!DOCTYPE html><@>", "<!DOCTYPE html><@>"),
            ("<@U0ANN <@U0ANN>", "<@U0ANN @Ann"),
            ("<https://a.example\n>", "<https://a.example\n>"),
        ] {
            assert_eq!(read(written), said, "{written}");
        }
    }

    proptest! {
        #[test]
        fn text_without_markup_is_unchanged(text in "[^<&]*") {
            prop_assert_eq!(read(&text), text);
        }

        #[test]
        fn whatever_is_open_or_broken_is_read(text in check::hostile(), at in any::<prop::sample::Index>()) {
            let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let cut = &text[..ends[at.index(ends.len())]];
            prop_assert!(read(cut).len() <= cut.len());
        }

        #[test]
        fn what_somebody_typed_comes_back_as_they_typed_it(text in check::hostile()) {
            let written = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            prop_assert_eq!(read(&written), text);
        }
    }
}
