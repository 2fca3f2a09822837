//! The texts that operators write themselves: `slack.yaml templates`.

use super::text;

/// The placeholders of the original's templates, and what stands there where nothing is known: a sentence around it can
/// be read all the same. Those of its templates that omni has no use for stand for nothing.
const UNKNOWN: [(&str, &str); 25] = [
    ("emoji", ""),
    ("role", "unknown"),
    ("user_role", "unknown"),
    ("required_role", "another role"),
    ("tool_name", "what you asked for"),
    ("mcp_name", "the service"),
    ("mcp_status", "unknown"),
    ("last_seen", "unknown"),
    ("rate_limit", "unknown"),
    ("requests_used", "unknown"),
    ("reset_in_minutes", "a few"),
    ("error_message", ""),
    ("helpful_hint", ""),
    ("error_id", ""),
    ("duration", ""),
    ("result", ""),
    ("commands_list", ""),
    ("allowed_tools_count", ""),
    ("examples_list", ""),
    ("mcps_list", ""),
    ("total_tools", ""),
    ("active_users", ""),
    ("requests_today", ""),
    ("uptime", ""),
    ("version", ""),
];

/// A template with its placeholders (`{role}`, `{reset_in_minutes}`, …) replaced. Values are escaped and are not looked
/// through again; an empty one is as one that is not known. What is no placeholder of anybody's stays.
#[must_use]
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let named = after.split_once('}').and_then(|(name, tail)| Some((value(values, name)?, tail)));
        match named {
            Some((value, tail)) => {
                filled.push_str(&text::escape(value));
                rest = tail;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// What takes the place of a name.
fn value<'a>(values: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    let own = of(values, name);
    own.filter(|value| !value.is_empty()).or_else(|| of(&UNKNOWN, name)).or(own)
}

fn of<'a>(values: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_places_of_their_names_and_stay_words() {
        let values = [("role", "<!here> {error_id}"), ("error_id", "e1")];
        let filled = fill("{role}: {error_id} {unknown} {", &values);
        assert_eq!(filled, "&lt;\u{200B}!here&gt; {error_id}: e1 {unknown} {");
    }

    #[test]
    fn where_nothing_is_known_a_sentence_can_be_read_all_the_same() {
        let values = [("user", ""), ("role", "")];
        let filled = fill("{user}: you are {role}, and it takes {required_role}.{uptime}", &values);
        assert_eq!(filled, ": you are unknown, and it takes another role.");
    }
}
