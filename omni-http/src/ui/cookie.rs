//! The cookies of the pages: how each is called, what a browser may do with it, and what is sealed into it.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::ApiError;

/// Longest value that browsers keep.
pub(super) const MAX_VALUE: usize = 3_800;

/// A cookie, which has another name where the page came over https: one that starts with `__Host-` no other host can
/// set, nor anybody who changes what comes without https.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookie {
    secure: &'static str,
    plain: &'static str,
    same_site: &'static str,
}

/// Who is logged in.
pub(super) const SESSION: Cookie = Cookie { secure: "__Host-omni", plain: "omni-ui", same_site: "Strict" };
/// That a login form comes from a page of ours.
pub(super) const FORM: Cookie = Cookie { secure: "__Host-omni-login", plain: "omni-login", same_site: "Strict" };
/// Which login at the issuer's page this browser began. That page sends the browser back: `Strict` would leave the
/// cookie behind. `Lax` brings it along where somebody is sent here, and with no form of another site's.
#[cfg(feature = "oidc")]
pub(super) const TRIP: Cookie = Cookie { secure: "__Host-omni-trip", plain: "omni-trip", same_site: "Lax" };

impl Cookie {
    /// Its value in a request. Where pages come over https alone, nothing counts that anybody else could have set.
    pub(super) fn of(self, headers: &HeaderMap, only_secure: bool) -> Option<&str> {
        let plain = || Some(self.plain).filter(|_| !only_secure).and_then(|name| find(headers, name));
        find(headers, self.secure).or_else(plain)
    }

    /// What sets it for so long; over https as a cookie that comes back over https alone.
    pub(super) fn set(self, value: &str, seconds: i64, is_https: bool) -> Result<HeaderValue, ApiError> {
        let (name, secure) = if is_https { (self.secure, "; Secure") } else { (self.plain, "") };
        let same_site = self.same_site;
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={seconds}{secure}");
        HeaderValue::from_str(&text).map_err(|_| ApiError::internal("a cookie cannot be written"))
    }

    /// What takes it away, by either name.
    pub(super) fn unset(self) -> Result<[HeaderValue; 2], ApiError> {
        Ok([self.set("", 0, true)?, self.set("", 0, false)?])
    }
}

fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

/// Something that only whoever has the key reads, and can have written. `label` says what it is for.
pub(super) fn seal(key: &[u8; 32], label: &str, value: &impl Serialize) -> Option<String> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).ok()?;
    let mut text = serde_json::to_vec(value).ok()?;
    let (sealing, nonce_of) = (cipher(key)?, Nonce::assume_unique_for_key(nonce));
    sealing.seal_in_place_append_tag(nonce_of, Aad::from(label), &mut text).ok()?;
    Some(URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat()))
}

/// What was sealed.
pub(super) fn open<T: DeserializeOwned>(key: &[u8; 32], label: &str, sealed: &str) -> Option<T> {
    let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let text = cipher(key)?.open_in_place(nonce, Aad::from(label), text).ok()?;
    serde_json::from_slice(text).ok()
}

fn cipher(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_its_key_and_for_its_purpose_alone() {
        let (key, other) = ([7; 32], [8; 32]);
        let sealed = seal(&key, "a", &"omni_abc").unwrap();
        assert!(!sealed.contains("omni_"));
        assert_eq!(open::<String>(&key, "a", &sealed).as_deref(), Some("omni_abc"));
        assert!(open::<String>(&other, "a", &sealed).is_none() && open::<String>(&key, "b", &sealed).is_none());
        let altered = sealed.replace(sealed.chars().nth(20).unwrap(), "_");
        for bad in [altered.as_str(), "", "x", "AAAA", &sealed[..30]] {
            assert!(open::<String>(&key, "a", bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others_and_over_https_no_other_counts() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=1; omni-ui=x=y; b=2"));
        assert_eq!((SESSION.of(&headers, false), SESSION.of(&headers, true)), (Some("x=y"), None));
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-omni=z"));
        assert_eq!((SESSION.of(&headers, false), SESSION.of(&headers, true)), (Some("z"), Some("z")));
        assert_eq!(FORM.of(&headers, false), None);
    }
}
