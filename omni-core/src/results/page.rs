//! A part of a text.

/// A part of a text, whole characters only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<'a> {
    /// The part.
    pub text: &'a str,
    /// At which byte it begins.
    pub offset: usize,
    /// At which byte the next one begins; `None` where nothing comes after.
    pub next: Option<usize>,
}

impl<'a> Page<'a> {
    pub(super) fn of(text: &'a str, offset: usize, limit: usize) -> Self {
        let start = text.floor_char_boundary(offset);
        let end = text.floor_char_boundary(start.saturating_add(limit));
        // A page that is shorter than its first character would come again for ever.
        let first = text[start..].chars().next().map_or(start, |first| start + first.len_utf8());
        let end = end.max(first);
        Self { text: &text[start..end], offset: start, next: (end < text.len()).then_some(end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_put_together_are_the_text_and_none_is_longer_than_it_may_be() {
        let text = "aä🦀b".repeat(50);
        for limit in [4, 5, 7, 64, 1_000] {
            let (mut read, mut next) = (String::new(), Some(0));
            while let Some(offset) = next {
                let page = Page::of(&text, offset, limit);
                assert!(page.text.len() <= limit && page.offset == offset, "{page:?}");
                read.push_str(page.text);
                next = page.next;
            }
            assert_eq!(read, text);
        }
    }

    #[test]
    fn a_page_goes_on_even_where_it_has_no_room_for_a_character() {
        assert_eq!(Page::of("🦀b", 0, 1), Page { text: "🦀", offset: 0, next: Some(4) });
        assert_eq!(Page::of("ab", 9, 5), Page { text: "", offset: 2, next: None });
        assert_eq!(Page::of("🦀b", 2, 1).offset, 0);
    }
}
