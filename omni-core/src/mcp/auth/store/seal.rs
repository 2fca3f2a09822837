//! Tokens become bytes that nobody can read or change without the key, nor pass off as another server's.

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};

use super::{Grant, StoredTokens, TokenKey};
use crate::{ledger::SealKey, mcp::auth::OAuthError};

/// Where a directory keeps its key.
pub(super) const FILE: &str = "secret.key";
/// The first byte of what is sealed like this.
const FORMAT: u8 = 1;

/// Seals a grant for a server.
pub(super) fn seal(key: &SealKey, whose: &TokenKey, url: &str, grant: &Grant) -> Result<StoredTokens, OAuthError> {
    let failed = || OAuthError::Store { message: "nothing can be encrypted".into() };
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| failed())?;
    let mut bytes = serde_json::to_vec(grant).map_err(|_| failed())?;
    let context = context(whose, url, &grant.issuer);
    let nonce_of = Nonce::assume_unique_for_key(nonce);
    cipher(key)?.seal_in_place_append_tag(nonce_of, Aad::from(context), &mut bytes).map_err(|_| failed())?;
    let sealed = [&[FORMAT][..], &nonce, &bytes].concat();
    Ok(StoredTokens::new(url, &*grant.issuer, sealed))
}

/// Opens what was sealed for this server.
pub(super) fn open(key: &SealKey, whose: &TokenKey, stored: &StoredTokens) -> Result<Grant, OAuthError> {
    let failed = || OAuthError::Store {
        message: format!(
            "those of {} were encrypted with another key, or changed; restore OMNI_SECRET_KEY or secret.key, or run \
             `omni servers login {}` again",
            whose.server, whose.server
        ),
    };
    let (format, rest) = stored.sealed.split_first().ok_or_else(failed)?;
    let (nonce, bytes) = rest.split_at_checked(NONCE_LEN).filter(|_| *format == FORMAT).ok_or_else(failed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
    let (context, mut bytes) = (context(whose, &stored.url, &stored.issuer), bytes.to_vec());
    let plain = cipher(key)?.open_in_place(nonce, Aad::from(context), &mut bytes).map_err(|_| failed())?;
    let grant: Grant = serde_json::from_slice(plain).map_err(|_| failed())?;
    if grant.issuer == stored.issuer { Ok(grant) } else { Err(failed()) }
}

/// A key for this use alone: others are made of the same one.
fn cipher(key: &SealKey) -> Result<LessSafeKey, OAuthError> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), b"omni server tokens 1");
    let key = UnboundKey::new(&AES_256_GCM, tag.as_ref());
    let unusable = |_| OAuthError::Store { message: "the key cannot be used".into() };
    Ok(LessSafeKey::new(key.map_err(unusable)?))
}

/// What belongs to the sealed bytes without being in them; no two servers have the same.
fn context(whose: &TokenKey, url: &str, issuer: &str) -> Vec<u8> {
    let parts = [whose.server.as_str(), &whose.subject, url, issuer];
    parts.iter().flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::auth::tests::grant;

    #[test]
    fn what_is_sealed_is_read_with_its_key_for_its_server_alone() {
        let (key, whose) = (SealKey::generate(), TokenKey::shared("a"));
        let sealed = seal(&key, &whose, "https://a/mcp", &grant()).unwrap();
        assert_eq!(open(&key, &whose, &sealed).unwrap(), grant());
        let text = String::from_utf8_lossy(&sealed.sealed).into_owned();
        assert!(!text.contains("access-1") && !text.contains("refresh-1"), "{text}");
        let again = seal(&key, &whose, "https://a/mcp", &grant()).unwrap();
        assert_ne!(sealed.sealed, again.sealed, "no nonce is used twice");

        let message = open(&SealKey::generate(), &whose, &sealed).unwrap_err().to_string();
        assert!(message.contains("OMNI_SECRET_KEY") && message.contains("omni servers login a"), "{message}");
        assert!(open(&key, &TokenKey::shared("b"), &sealed).is_err());
        let of_somebody = TokenKey { subject: "ann@x.org".into(), ..whose.clone() };
        assert!(open(&key, &of_somebody, &sealed).is_err());
        let with = |change: fn(&mut StoredTokens)| {
            let mut changed = sealed.clone();
            change(&mut changed);
            open(&key, &whose, &changed)
        };
        assert!(with(|stored| stored.url = "https://evil/mcp".into()).is_err());
        assert!(with(|stored| stored.issuer = "https://evil".into()).is_err());
        assert!(with(|stored| stored.sealed.truncate(7)).is_err());
        assert!(with(|stored| stored.sealed.clear()).is_err());
        assert!(with(|stored| stored.sealed[20] ^= 1).is_err());
        assert!(with(|stored| stored.sealed[0] = 2).is_err());
    }
}
