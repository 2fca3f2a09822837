//! A token in its compact form: header, claims and signature, before anybody believes them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{Refusal, key::Algorithm};

/// Longest token, in bytes; one with some hundred groups has half of it.
const MAX_TOKEN: usize = 16 << 10;

/// What a token says, and the bytes that its signature is of.
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    /// The name of the key that signed it.
    pub(super) kid: Option<String>,
    pub(super) claims: Map<String, Value>,
    pub(super) message: &'a [u8],
    pub(super) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Reads a token. Nothing of it is true yet.
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > MAX_TOKEN {
            return Err(Refusal::TooLong);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Refusal::Malformed)?;
        let header = object(header)?;
        let (algorithm, kid) = read(&header)?;
        let signature = decode(signature)?;
        Ok(Self { algorithm, kid, claims: object(claims)?, message: message.as_bytes(), signature })
    }
}

/// How it was signed and by which key, if it is a token of the kind that counts. A key within the
/// header, or where to find one, is whatever its writer likes, and not looked at.
fn read(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), Refusal> {
    // What must be understood is not: omni knows no extension.
    if header.contains_key("crit") || !header.get("typ").is_none_or(is_access) {
        return Err(Refusal::WrongType);
    }
    let name = header.get("alg").and_then(Value::as_str).ok_or(Refusal::Malformed)?;
    let algorithm = Algorithm::from_name(name).ok_or(Refusal::Algorithm)?;
    let kid = header.get("kid").map(|kid| kid.as_str().map(str::to_owned).ok_or(Refusal::Malformed));
    Ok((algorithm, kid.transpose()?))
}

/// Whether it is a plain token or one for access, and none for a logout, a proof or an event.
fn is_access(kind: &Value) -> bool {
    let kind = kind.as_str().unwrap_or_default().to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

fn object(part: &str) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(&decode(part)?).map_err(|_| Refusal::Malformed)
}

fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(header: &Value, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims))
    }

    fn refusal(header: &Value) -> Option<Refusal> {
        Token::parse(&token(header, "{}")).err()
    }

    #[test]
    fn a_token_is_header_claims_and_signature() {
        let text = token(&json!({ "alg": "ES256", "kid": "k1", "typ": "at+JWT" }), "{\"iss\":\"i\"}");
        let token = Token::parse(&text).unwrap();
        assert_eq!((token.algorithm, token.kid.as_deref()), (Algorithm::Es256, Some("k1")));
        assert_eq!((&token.claims["iss"], token.signature.as_slice()), (&json!("i"), b"sig".as_slice()));
        assert_eq!(token.message, text.strip_suffix(".c2ln").unwrap().as_bytes());
    }

    #[test]
    fn an_algorithm_without_a_key_pair_is_none() {
        for name in ["none", "None", "NONE", "HS256", "HS384", "HS512", "RS1", "rs256", "ES256K", "ES512", "dir", ""] {
            assert_eq!(refusal(&json!({ "alg": name })), Some(Refusal::Algorithm), "{name}");
        }
        assert_eq!(refusal(&json!({ "alg": null })), Some(Refusal::Malformed));
        assert_eq!(refusal(&json!({})), Some(Refusal::Malformed));
    }

    #[test]
    fn a_token_for_something_else_or_with_an_extension_is_none() {
        for kind in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWE", ""] {
            assert_eq!(refusal(&json!({ "alg": "ES256", "typ": kind })), Some(Refusal::WrongType), "{kind}");
        }
        assert_eq!(refusal(&json!({ "alg": "ES256", "typ": 1 })), Some(Refusal::WrongType));
        assert_eq!(refusal(&json!({ "alg": "ES256", "crit": ["b64"], "b64": false })), Some(Refusal::WrongType));
        assert_eq!(refusal(&json!({ "alg": "ES256", "crit": null })), Some(Refusal::WrongType));
        assert_eq!(refusal(&json!({ "alg": "ES256", "kid": 7 })), Some(Refusal::Malformed));
        assert_eq!(refusal(&json!({ "alg": "ES256", "typ": "JWT" })), None);
    }

    #[test]
    fn what_is_no_token_is_malformed_and_what_is_huge_is_not_looked_at() {
        let whole = token(&json!({ "alg": "ES256" }), "{}");
        for text in
            ["", ".", "..", "a.b", "....", "a.b.c", &format!("{whole}.x"), &format!("{whole}="), &format!(" {whole}")]
        {
            assert_eq!(Token::parse(text).err(), Some(Refusal::Malformed), "{text:?}");
        }
        for claims in ["[]", "null", "7", "{", "{}{}"] {
            let text = token(&json!({ "alg": "ES256" }), claims);
            assert_eq!(Token::parse(&text).err(), Some(Refusal::Malformed), "{claims}");
        }
        assert_eq!(Token::parse(&"a".repeat(MAX_TOKEN + 1)).err(), Some(Refusal::TooLong));
    }
}
