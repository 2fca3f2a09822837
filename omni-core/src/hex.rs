//! Bytes in hexadecimal.

/// Bytes as small hexadecimal digits, two each.
pub(crate) fn to_hex(bytes: impl AsRef<[u8]>) -> String {
    let mut hex = Vec::new();
    push_hex(&mut hex, bytes);
    String::from_utf8(hex).unwrap_or_default()
}

/// The same at the end of a text.
pub(crate) fn push_hex(text: &mut Vec<u8>, bytes: impl AsRef<[u8]>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (bytes, begin) = (bytes.as_ref(), text.len());
    text.resize(begin + 2 * bytes.len(), 0);
    for (pair, byte) in text[begin..].chunks_exact_mut(2).zip(bytes) {
        (pair[0], pair[1]) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
    }
}

/// So many bytes of just as many pairs of digits.
pub(crate) fn from_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if hex.len() != 2 * N || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, place) in bytes.iter_mut().zip((0..2 * N).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(place..place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits_and_comes_back() {
        assert_eq!(to_hex([0, 7, 0x9a, 0xff]), "00079aff");
        assert_eq!(from_hex("00079aFF"), Some([0, 7, 0x9a, 0xff]));
        for odd in ["00079af", "00079aff00", "00079ag0", "+0079aff", "é079aff"] {
            assert_eq!(from_hex::<4>(odd), None, "{odd}");
        }
    }
}
