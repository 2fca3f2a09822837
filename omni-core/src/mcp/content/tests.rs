use proptest::prelude::*;
use serde_json::{json, value::to_raw_value};

use super::*;

fn output(result: &Value, max_chars: usize) -> ToolOutput {
    from_wire(&to_raw_value(result).unwrap(), max_chars).unwrap()
}

fn texts(output: &ToolOutput) -> Vec<String> {
    let text = |part: ResultPart| match part {
        ResultPart::Text { text } => text,
        ResultPart::Image { mime, .. } => format!("<{mime}>"),
    };
    for_model(output).into_iter().map(text).collect()
}

/// The first bytes of a picture.
const PNG: &str = "iVBORw0KGgoAAAAN";

/// A picture of so many characters of base64.
fn png(length: usize) -> Value {
    json!({ "type": "image", "mimeType": "image/png", "data": format!("{PNG}{}", "A".repeat(length - PNG.len())) })
}

#[test]
fn every_kind_of_content_reaches_the_model() {
    let result = output(
        &json!({ "content": [
            { "type": "text", "text": "plain" },
            { "type": "image", "mimeType": "image/png", "data": PNG },
            { "type": "image", "mimeType": "image/tiff", "data": "aGkh" },
            { "type": "audio", "mimeType": "audio/wav", "data": "aGkh" },
            { "type": "resource", "resource": { "uri": "file:///a.txt", "mimeType": "text/plain", "text": "inside" } },
            { "type": "resource", "resource": { "uri": "file:///b.bin", "blob": "aGkh" } },
            { "type": "resource_link", "uri": "file:///c", "name": "c", "description": "the third" },
            { "type": "hologram", "depth": 3 },
        ] }),
        10_000,
    );
    assert_eq!(
        texts(&result),
        [
            "plain",
            "<image/png>",
            "[image: image/tiff, 3 bytes]",
            "[audio: audio/wav, 3 bytes]",
            "[resource file:///a.txt (text/plain)]\ninside",
            "[resource file:///b.bin: 3 bytes that are not text]",
            "[link to resource c at file:///c: the third]",
            r#"[content of unknown kind "hologram": {"depth":3,"type":"hologram"}]"#,
        ]
    );
    assert!(!result.truncated);
}

#[test]
fn an_empty_result_is_never_empty_for_a_reader() {
    for result in [json!({}), json!({ "content": [] }), json!({ "content": [{ "type": "text", "text": " " }] })] {
        assert_eq!(texts(&output(&result, 100)), [NOTHING], "{result}");
        assert_eq!(for_person(&output(&result, 100)), NOTHING);
    }
}

#[test]
fn what_a_server_says_is_null_is_not_there() {
    let null = output(&json!({ "content": null, "structuredContent": null, "isError": null }), 100);
    assert_eq!(null, ToolOutput::default());
    let text = output(&json!({ "content": [{ "type": "text", "text": "hi" }], "isError": null }), 100);
    assert_eq!((texts(&text), text.is_error), (vec!["hi".to_owned()], false));
}

#[test]
fn structured_content_is_shown_when_no_text_says_the_same() {
    let alone = output(&json!({ "content": [], "structuredContent": { "rows": 3 } }), 100);
    assert_eq!(texts(&alone), [r#"{"rows":3}"#]);

    let beside = json!({ "content": [{ "type": "text", "text": "done" }], "structuredContent": { "rows": 3 } });
    assert_eq!(texts(&output(&beside, 100)), ["done", r#"{"rows":3}"#]);

    let same =
        json!({ "content": [{ "type": "text", "text": "{ \"rows\": 3 }" }], "structuredContent": { "rows": 3 } });
    assert_eq!(texts(&output(&same, 100)), ["{ \"rows\": 3 }"]);

    for wrapped in [json!({ "result": "hi" }), json!({ "content": "hi" })] {
        let result = json!({ "content": [{ "type": "text", "text": "hi" }], "structuredContent": wrapped });
        assert_eq!(texts(&output(&result, 100)), ["hi"]);
    }
}

#[test]
fn structured_content_over_the_cap_is_dropped_and_flagged() {
    let result = output(&json!({ "content": [], "structuredContent": { "text": "x".repeat(500) } }), 100);
    assert_eq!(result.structured, None);
    assert!(result.truncated);
}

#[test]
fn a_cut_text_says_so() {
    let result = output(&json!({ "content": [{ "type": "text", "text": "é".repeat(60_000) }] }), 12_345);
    assert!(result.truncated);
    let shown = texts(&result);
    assert_eq!(shown.len(), 2);
    assert!(shown[0].chars().all(|c| c == 'é'));
    assert_eq!(shown[1], format!("[cut: {} of 60,000 characters shown]", thousands(shown[0].chars().count())));
    assert_eq!(shown.iter().map(|text| text.chars().count()).sum::<usize>(), 12_345);
}

#[test]
fn the_text_of_a_resource_is_cut_too() {
    let resource = json!({ "type": "resource", "resource": { "uri": "u:1", "text": "x".repeat(1_000) } });
    let shown = texts(&output(&json!({ "content": [resource] }), 200));
    assert!(shown[0].starts_with("[resource u:1]\nxxx"), "{shown:?}");
    assert!(shown[1].starts_with("[cut: "), "{shown:?}");
}

#[test]
fn a_picture_that_is_too_large_is_replaced_by_a_note() {
    let result = output(&json!({ "content": [png(budget::MAX_BINARY + 4)] }), 1_000);
    assert_eq!(texts(&result), ["[image: image/png, 3,932,163 bytes] left out: too large"]);
    assert!(result.truncated);
}

#[test]
fn many_pictures_share_one_bound() {
    let picture = png(4 * 1024 * 1024);
    let result = output(&json!({ "content": [picture, picture, picture] }), 1_000);
    let shown = texts(&result);
    assert_eq!(&shown[..2], ["<image/png>", "<image/png>"]);
    assert!(shown[2].ends_with("left out: too large"), "{shown:?}");
    assert!(result.truncated);
}

#[test]
fn no_more_pictures_are_kept_than_a_vendor_takes() {
    let pictures = vec![png(16); budget::MAX_PICTURES + 1];
    let result = output(&json!({ "content": pictures }), 1_000);
    let shown = texts(&result);
    assert_eq!(shown[..budget::MAX_PICTURES], vec!["<image/png>"; budget::MAX_PICTURES]);
    assert_eq!(shown[budget::MAX_PICTURES..], ["[image: image/png, 12 bytes] left out: too many pictures"]);
    assert!(result.truncated);
}

#[test]
fn a_picture_that_is_none_is_told_in_words() {
    let image = |mime: &str, data: &str| {
        texts(&output(&json!({ "content": [{ "type": "image", "mimeType": mime, "data": data }] }), 1_000))
    };
    assert_eq!(image("image/png", "aGVsbG8="), ["[image (image/png) left out: it is not one]"]);
    for data in ["", "iVBORw0KGgo", "iVBORw0KGgo_AAAA", "iVBO Rw0KGgo=", "not base64!!"] {
        assert_eq!(image("image/png", data), ["[image (image/png) left out: it is not base64]"], "{data}");
    }
}

#[test]
fn a_picture_with_the_wrong_label_gets_the_right_one() {
    let picture = json!({ "type": "image", "mimeType": "image/png", "data": "/9j/4AAQSkZJRg==" });
    assert_eq!(texts(&output(&json!({ "content": [picture] }), 1_000)), ["<image/jpeg>"]);
}

#[test]
fn parts_beyond_the_bound_are_left_out_and_flagged() {
    let part = json!({ "type": "text", "text": "x" });
    let result = output(&json!({ "content": vec![part; MAX_PARTS + 1] }), 10_000);
    assert_eq!(result.content.len(), MAX_PARTS);
    assert!(result.truncated);
}

#[test]
fn structured_content_that_could_never_fit_is_not_even_read() {
    let rows = json!({ "content": [{ "type": "text", "text": "rows" }], "structuredContent": vec![1; SMALL] });
    let result = output(&rows, 100);
    assert_eq!((result.structured, result.truncated), (None, true));
}

#[test]
fn a_person_is_not_shown_more_line_breaks_than_json() {
    let nested = (0..100).fold(json!([]), |inner, _| json!([inner, 1]));
    let deep = output(&json!({ "content": [], "structuredContent": nested }), 10_000);
    assert!(!for_person(&deep).contains('\n'));
    let flat = output(&json!({ "content": [], "structuredContent": { "rows": 3 } }), 100);
    assert_eq!(for_person(&flat), "{\n  \"rows\": 3\n}");
}

#[test]
fn what_no_reader_can_see_is_stripped_from_structured_content_too() {
    let result = output(&json!({ "content": [], "structuredContent": { "k\u{200B}": ["\u{E0041}v"] } }), 100);
    assert_eq!(result.structured, Some(json!({ "k": ["v"] })));
}

#[test]
fn what_is_no_result_is_a_protocol_error() {
    let raw = to_raw_value(&json!({ "content": "text" })).unwrap();
    assert!(matches!(from_wire(&raw, 100), Err(McpError::Protocol { .. })));
}

#[test]
fn the_error_flag_is_kept() {
    assert!(output(&json!({ "content": [], "isError": true }), 100).is_error);
}

fn any_part() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{0,80}".prop_map(|text| json!({ "type": "text", "text": text })),
        "[A-Za-z0-9]{0,40}".prop_map(|data| json!({ "type": "image", "mimeType": "image/png", "data": data })),
        (4_usize..40).prop_map(|groups| png(4 * groups)),
        ("\\PC{0,30}", "[A-Za-z0-9]{0,40}")
            .prop_map(|(mime, data)| json!({ "type": "audio", "mimeType": mime, "data": data })),
        (".{0,40}", ".{0,80}")
            .prop_map(|(uri, text)| json!({ "type": "resource", "resource": { "uri": uri, "text": text } })),
        (".{0,40}", ".{0,40}").prop_map(|(uri, name)| json!({ "type": "resource_link", "uri": uri, "name": name })),
        ".{0,20}".prop_map(|kind| json!({ "type": kind })),
    ]
}

proptest! {
    #[test]
    fn what_a_model_reads_is_never_more_than_the_cap(
        parts in prop::collection::vec(any_part(), 0..12),
        structured in prop::option::of(".{0,60}"),
        cap in 40_usize..400,
    ) {
        let mut result = json!({ "content": parts });
        if let Some(text) = structured {
            result["structuredContent"] = json!({ "text": text });
        }
        let output = output(&result, cap);
        let shown: usize = for_model(&output)
            .iter()
            .map(|part| match part {
                ResultPart::Text { text } => text.chars().count(),
                ResultPart::Image { .. } => 0,
            })
            .sum();
        prop_assert!(shown <= cap, "{} > {}", shown, cap);
        prop_assert!(!for_model(&output).is_empty());
    }
}
