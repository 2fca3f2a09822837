//! The issuer's keys, and whether one of them made a signature.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use serde_json::Value;

use super::token::Token;

/// Most keys of an issuer that are kept; issuers have two or three.
const MAX_KEYS: usize = 64;

/// How a signature was made. All of them are of key pairs: there is none that whoever knows a public
/// key could use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// The algorithm of a name, as headers and keys have it.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    /// What checks it.
    fn method(self) -> Method {
        match self {
            Self::Rs256 => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Self::Es256 => Method::Curve(Curve::P256, &signature::ECDSA_P256_SHA256_FIXED),
            Self::Es384 => Method::Curve(Curve::P384, &signature::ECDSA_P384_SHA384_FIXED),
            Self::EdDsa => Method::Curve(Curve::Ed25519, &signature::ED25519),
        }
    }
}

enum Method {
    Rsa(&'static RsaParameters),
    Curve(Curve, &'static dyn VerificationAlgorithm),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    Ed25519,
}

/// One public key.
#[derive(Debug)]
struct Key {
    kid: Option<String>,
    /// The only algorithm that it is for, where the issuer says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Point(Curve, Vec<u8>),
}

/// A key as the issuer writes it.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    /// A key for signatures; `None` where it is none, or of a kind that is not known here.
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let is_for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"));
        let algorithm = jwk.alg.as_deref().map(|name| Algorithm::from_name(name).ok_or(())).transpose().ok()?;
        let material = Material::read(&jwk).filter(|_| is_for_signatures)?;
        Some(Self { kid: jwk.kid, algorithm, material })
    }

    /// Whether a signature of that algorithm could be this key's.
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm)
            && match (algorithm.method(), &self.material) {
                (Method::Rsa(_), Material::Rsa { .. }) => true,
                (Method::Curve(curve, _), Material::Point(own, _)) => curve == *own,
                (Method::Rsa(_), Material::Point(..)) | (Method::Curve(..), Material::Rsa { .. }) => false,
            }
    }

    fn verify(&self, token: &Token<'_>) -> bool {
        match (token.algorithm.method(), &self.material) {
            (Method::Rsa(parameters), Material::Rsa { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, token.message, &token.signature).is_ok()
            }
            (Method::Curve(_, method), Material::Point(_, point)) => {
                UnparsedPublicKey::new(method, point).verify(token.message, &token.signature).is_ok()
            }
            (Method::Rsa(_), Material::Point(..)) | (Method::Curve(..), Material::Rsa { .. }) => false,
        }
    }
}

impl Material {
    fn read(jwk: &Jwk) -> Option<Self> {
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Some(Self::Rsa { n: number(jwk.n.as_ref())?, e: number(jwk.e.as_ref())? }),
            ("EC", Some("P-256")) => point(Curve::P256, 32, jwk),
            ("EC", Some("P-384")) => point(Curve::P384, 48, jwk),
            ("OKP", Some("Ed25519")) => {
                let x = bytes(jwk.x.as_ref())?;
                (x.len() == 32).then_some(Self::Point(Curve::Ed25519, x))
            }
            _ => None,
        }
    }
}

/// A point in its uncompressed form.
fn point(curve: Curve, size: usize, jwk: &Jwk) -> Option<Material> {
    let (x, y) = (bytes(jwk.x.as_ref())?, bytes(jwk.y.as_ref())?);
    let is_whole = x.len() == size && y.len() == size;
    is_whole.then(|| Material::Point(curve, [&[4], x.as_slice(), &y].concat()))
}

/// A number without the zeros that some issuers write before it.
fn number(text: Option<&String>) -> Option<Vec<u8>> {
    let bytes = bytes(text)?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

fn bytes(text: Option<&String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

/// The keys of an issuer at one moment.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

impl KeySet {
    /// The keys that can be used; what is not understood is left out.
    pub(super) fn read(keys: Vec<Value>) -> Self {
        Self(keys.into_iter().filter_map(Key::read).take(MAX_KEYS).collect())
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one of them signed the token: the one that it names, or where it names none, the
    /// only one that it could be.
    pub(super) fn verify(&self, token: &Token<'_>) -> bool {
        let mut fitting = self.0.iter().filter(|key| key.fits(token.algorithm));
        match &token.kid {
            Some(kid) => fitting.any(|key| key.kid.as_ref() == Some(kid) && key.verify(token)),
            None => match (fitting.next(), fitting.next()) {
                (Some(only), None) => only.verify(token),
                (None, _) | (Some(_), Some(_)) => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usable(jwk: Value) -> bool {
        KeySet::read(vec![jwk]).len() == 1
    }

    #[test]
    fn what_is_no_public_key_for_signatures_is_left_out() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        assert!(usable(json!({ "kty": "EC", "crv": "P-256", "x": x, "y": x, "use": "sig", "alg": "ES256" })));
        assert!(usable(json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "key_ops": ["verify"], "more": [1] })));
        assert!(usable(json!({ "kty": "RSA", "n": "AAEC", "e": "AQAB" })));
        for jwk in [
            json!({ "kty": "oct", "k": x, "alg": "HS256" }),
            json!({ "kty": "EC", "crv": "P-256", "x": x, "y": x, "use": "enc" }),
            json!({ "kty": "EC", "crv": "P-256", "x": x, "y": x, "key_ops": ["sign"] }),
            json!({ "kty": "EC", "crv": "P-256", "x": x, "y": x, "alg": "ECDH-ES" }),
            json!({ "kty": "EC", "crv": "P-256", "x": x, "y": "AAEC" }),
            json!({ "kty": "EC", "crv": "P-521", "x": x, "y": x }),
            json!({ "kty": "EC", "crv": "P-384", "x": x, "y": x }),
            json!({ "kty": "OKP", "crv": "X25519", "x": x }),
            json!({ "kty": "RSA", "n": "AA", "e": "AQAB" }),
            json!({ "kty": "RSA", "e": "AQAB" }),
            json!({ "kty": "new", "x": x }),
            json!({ "x": x }),
            json!("key"),
        ] {
            assert!(!usable(jwk.clone()), "{jwk}");
        }
    }

    #[test]
    fn a_key_that_is_not_understood_hides_none_beside_it_and_their_number_is_bounded() {
        let good = json!({ "kty": "RSA", "n": "AAEC", "e": "AQAB" });
        assert_eq!(KeySet::read(vec![json!({ "kty": "new" }), good.clone(), json!(7)]).len(), 1);
        assert_eq!(KeySet::read(vec![good; 1_000]).len(), MAX_KEYS);
    }

    #[test]
    fn an_algorithm_fits_keys_of_its_own_kind_only() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let key = |more: Value| {
            let mut jwk = json!({ "kty": "RSA", "n": "AAEC", "e": "AQAB" });
            jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Key::read(jwk).unwrap()
        };
        let rsa = key(json!({}));
        assert!(rsa.fits(Algorithm::Rs256) && rsa.fits(Algorithm::Ps512) && !rsa.fits(Algorithm::Es256));
        let only = key(json!({ "alg": "RS512" }));
        assert!(only.fits(Algorithm::Rs512) && !only.fits(Algorithm::Rs256) && !only.fits(Algorithm::Ps512));
        let curve = Key::read(json!({ "kty": "OKP", "crv": "Ed25519", "x": x })).unwrap();
        assert!(curve.fits(Algorithm::EdDsa) && !curve.fits(Algorithm::Es256) && !curve.fits(Algorithm::Rs256));
    }
}
