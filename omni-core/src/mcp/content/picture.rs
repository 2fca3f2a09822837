//! Whether data is what it says it is: one bad picture makes a vendor refuse the whole conversation.

/// Whether a text is base64 of the standard alphabet with its padding, and not empty.
pub(super) fn is_base64(text: &str) -> bool {
    let body = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    !body.is_empty() && text.len().is_multiple_of(4) && body.bytes().all(|byte| sextet(byte).is_some())
}

/// The media type of a picture by its first bytes, of those kinds that every vendor's model can see.
pub(super) fn kind(base64: &str) -> Option<&'static str> {
    match head(base64).as_slice() {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// The first twelve bytes.
fn head(base64: &str) -> Vec<u8> {
    let sextets: Vec<u8> = base64.bytes().take(16).map_while(sextet).collect();
    let bytes = |group: &[u8]| {
        let bits = group.iter().fold(0_u32, |bits, &sextet| (bits << 6) | u32::from(sextet));
        let [_, bytes @ ..] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        bytes.into_iter().take(group.len() * 3 / 4)
    };
    sextets.chunks(4).flat_map(bytes).collect()
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_standard_base64_counts() {
        for good in ["aGk=", "aA==", "aGkh", "+/+/"] {
            assert!(is_base64(good), "{good}");
        }
        for bad in ["", "=", "==", "aGk", "aG=k", "a-_h", "aGk\n", "aGk=aGk=", "a===", "äaa"] {
            assert!(!is_base64(bad), "{bad}");
        }
    }

    #[test]
    fn a_picture_is_known_by_its_first_bytes() {
        assert_eq!(head("aGVsbG8="), b"hello");
        for (data, expected) in [
            ("iVBORw0KGgoAAAANSUhEUg==", Some("image/png")),
            ("/9j/4AAQSkZJRg==", Some("image/jpeg")),
            ("R0lGODlhAQABAA==", Some("image/gif")),
            ("UklGRiQAAABXRUJQVlA4", Some("image/webp")),
            ("PHN2ZyB4bWxucz0i", None),
            ("", None),
        ] {
            assert_eq!(kind(data), expected, "{data}");
        }
    }
}
