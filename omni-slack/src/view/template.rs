//! The texts that operators write themselves: `slack.yaml templates`.

use super::text;

/// A template with its placeholders (`{role}`, `{reset_in_minutes}`, …) replaced. Values are escaped and are not looked
/// through again; a placeholder that has no value stays.
#[must_use]
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let named = after.split_once('}').and_then(|(name, tail)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, tail))
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_places_of_their_names_and_stay_words() {
        let values = [("role", "<!here> {error_id}"), ("error_id", "e1")];
        let filled = fill("{role}: {error_id} {unknown} {", &values);
        assert_eq!(filled, "&lt;\u{200B}!here&gt; {error_id}: e1 {unknown} {");
    }
}
