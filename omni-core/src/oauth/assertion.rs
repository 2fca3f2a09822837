//! omni's word for who it is, signed with its own key (`private_key_jwt`, RFC 7523).

use std::fmt;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        RSA_PKCS1_SHA256,
    },
};
use serde_json::{Value, json};

/// How long an assertion counts, in seconds: long enough for clocks that are a minute apart.
const LIFE: i64 = 120;

/// A key that signs.
pub(crate) struct Signer {
    key: Key,
    key_id: Option<String>,
}

enum Key {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    /// The key of a PEM text, PKCS#8 as `openssl genpkey` writes it.
    ///
    /// # Errors
    /// That it is none; never any part of it.
    pub(crate) fn from_pem(text: &str, key_id: Option<String>) -> Result<Self, &'static str> {
        const WHAT: &str = "it holds no private key of EC (P-256, P-384), Ed25519 or RSA, PKCS#8 in PEM";
        let inner = text.split_once("-----BEGIN PRIVATE KEY-----").ok_or(WHAT)?.1;
        let inner = inner.split_once("-----END PRIVATE KEY-----").ok_or(WHAT)?.0;
        // What a variable brings has its line ends written out at times.
        let base64: String = inner.replace("\\n", "").split_whitespace().collect();
        let der = STANDARD.decode(base64).map_err(|_| WHAT)?;
        Ok(Self { key: key(&der).ok_or(WHAT)?, key_id })
    }

    /// Who `client` is, said to `audience`.
    ///
    /// # Errors
    /// That nothing can be signed.
    pub(crate) fn assertion(&self, client: &str, audience: &str, now: i64) -> Result<String, &'static str> {
        let mut header = json!({ "alg": self.algorithm(), "typ": "JWT" });
        if let Some(id) = &self.key_id {
            header["kid"] = Value::from(id.as_str());
        }
        let claims = json!({
            "iss": client, "sub": client, "aud": audience, "iat": now, "nbf": now - LIFE / 2, "exp": now + LIFE,
            "jti": uuid::Uuid::new_v4().to_string(),
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.sign(message.as_bytes()).ok_or("nothing can be signed with the private key")?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn algorithm(&self) -> &'static str {
        match self.key {
            Key::P256(_) => "ES256",
            Key::P384(_) => "ES384",
            Key::Ed25519(_) => "EdDSA",
            Key::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.key {
            Key::P256(key) | Key::P384(key) => key.sign(&random, message).ok().map(|found| found.as_ref().to_vec()),
            Key::Ed25519(key) => Some(key.sign(message).as_ref().to_vec()),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

fn key(der: &[u8]) -> Option<Key> {
    let random = SystemRandom::new();
    let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random).ok().map(Key::P256);
    let p384 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der, &random).ok().map(Key::P384);
    let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Key::Ed25519);
    let rsa = || RsaKeyPair::from_pkcs8(der).ok().map(Key::Rsa);
    p256().or_else(p384).or_else(ed25519).or_else(rsa)
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, KeyPair as _, UnparsedPublicKey, VerificationAlgorithm};

    use super::*;

    fn pem(der: &[u8]) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
    }

    fn check(assertion: &str, algorithm: &'static dyn VerificationAlgorithm, key: &[u8]) -> (Value, Value) {
        let (message, signature) = assertion.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(algorithm, key).verify(message.as_bytes(), &signature).unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        (read(header), read(claims))
    }

    #[test]
    fn an_assertion_is_signed_and_counts_for_a_short_while() {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let public = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap();
        let signer = Signer::from_pem(&pem(der.as_ref()).replace('\n', "\\n"), Some("k1".into())).unwrap();
        let said = signer.assertion("omni", "https://issuer", 1_000).unwrap();
        let (header, claims) = check(&said, &ECDSA_P256_SHA256_FIXED, public.public_key().as_ref());
        assert_eq!((&header["alg"], &header["kid"]), (&json!("ES256"), &json!("k1")));
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&json!("omni"), &json!("omni"), &json!("https://issuer"))
        );
        assert_eq!(claims["exp"], 1_120);
        assert_ne!(said, signer.assertion("omni", "https://issuer", 1_000).unwrap(), "none is sent twice");

        let der = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let public = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
        let signer = Signer::from_pem(&pem(der.as_ref()), None).unwrap();
        let (header, _) = check(&signer.assertion("a", "b", 0).unwrap(), &ED25519, public.public_key().as_ref());
        assert_eq!((&header["alg"], header.get("kid")), (&json!("EdDSA"), None));
    }

    #[test]
    fn what_is_no_key_is_told_without_any_of_it() {
        for text in [
            "",
            "s3cret",
            "-----BEGIN PRIVATE KEY-----\ns3cret",
            &pem(b"s3cret"),
            &pem(b"").replace("PRIVATE", "RSA PRIVATE"),
        ] {
            let error = Signer::from_pem(text, None).unwrap_err();
            assert!(error.contains("PKCS#8") && !error.contains("s3cret"), "{error}");
        }
    }
}
