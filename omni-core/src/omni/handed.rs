//! What a server has a client keep until it calls again (`requestState`, 2026-07-28). It goes through the client's
//! hands sealed: whoever brings it must be who got it, and it goes back to the same tool, prompt or resource only.

use std::{collections::BTreeMap, fmt};

use hmac::{Hmac, Mac as _};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};
use sha2::Sha256;

use crate::{
    hex::{from_hex, to_hex},
    identity::Holder,
    ledger::SealKey,
    mcp::{McpError, McpReply},
};

/// What a sealed state begins with.
const MARK: &str = "omni-state:";
const FIELD: &str = "requestState";
/// Bytes of a seal.
const SEAL: usize = 32;
/// JSON-RPC: what a client sends is not what it may send.
const INVALID_PARAMS: i64 = -32_602;

/// Seals what servers have clients keep. The key is the ledger's under another label: instances that share that one
/// understand each other's seals.
#[derive(Clone)]
pub(crate) struct Handed(SealKey);

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handed([redacted])")
    }
}

/// To whom a state was handed, and what for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose<'a> {
    pub(super) holder: &'a Holder,
    pub(super) server: &'a str,
    pub(super) method: &'a str,
    /// The tool, the prompt or the resource, as its server calls it.
    pub(super) name: &'a str,
}

impl Handed {
    pub(crate) fn new(key: SealKey) -> Self {
        Self(key)
    }

    fn mac(&self, purpose: &Purpose<'_>, state: &str) -> Hmac<Sha256> {
        let holder = purpose.holder.bytes();
        let parts: [&[u8]; 5] =
            [&holder, purpose.server.as_bytes(), purpose.method.as_bytes(), purpose.name.as_bytes(), state.as_bytes()];
        let labelled = self.0.keyed().chain_update(b"omni request state 1");
        parts.iter().fold(labelled, |mac, part| mac.chain_update((part.len() as u64).to_be_bytes()).chain_update(part))
    }

    /// A key for what a door has its visitors keep, under a label of its own.
    pub(super) fn door_key(&self, label: &str) -> [u8; SEAL] {
        self.0.keyed().chain_update(b"omni door key 1").chain_update(label).finalize().into_bytes().into()
    }

    /// A reply that goes on to the client: its state, where it has one, with a seal.
    pub(super) fn seal(&self, purpose: &Purpose<'_>, reply: McpReply) -> Result<McpReply, McpError> {
        let McpReply::InputRequired(raw) = reply else { return Ok(reply) };
        let unread = |error: serde_json::Error| McpError::Protocol { message: error.to_string() };
        let mut fields: Map<String, Value> = serde_json::from_str(raw.get()).map_err(unread)?;
        let Some(Value::String(state)) = fields.get_mut(FIELD) else { return Ok(McpReply::InputRequired(raw)) };
        let seal = self.mac(purpose, state).finalize().into_bytes();
        *state = format!("{MARK}{}:{state}", to_hex(seal));
        to_raw_value(&fields).map(McpReply::InputRequired).map_err(unread)
    }

    /// The parameters of a request, with the state as the server wrote it.
    ///
    /// # Errors
    /// JSON-RPC's -32602 where it is none that was handed to this one for this purpose.
    pub(super) fn open(
        &self,
        purpose: &Purpose<'_>,
        rest: &mut BTreeMap<String, Box<RawValue>>,
    ) -> Result<(), McpError> {
        let Some(raw) = rest.get(FIELD) else { return Ok(()) };
        let foreign = || McpError::rpc(INVALID_PARAMS, "requestState: it is none that was given to you for this");
        let sealed: String = serde_json::from_str(raw.get()).map_err(|_| foreign())?;
        let (seal, state) = sealed.strip_prefix(MARK).and_then(|text| text.split_once(':')).ok_or_else(foreign)?;
        let seal: [u8; SEAL] = from_hex(seal).ok_or_else(foreign)?;
        self.mac(purpose, state).verify_slice(&seal).map_err(|_| foreign())?;
        let state = to_raw_value(state).map_err(|_| foreign())?;
        rest.insert(FIELD.into(), state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::{Credential, Principal};

    fn holder(who: &str) -> Holder {
        let principal = Principal::email(who);
        Holder::new(&principal, &Credential::Asserted(principal.clone()))
    }

    fn purpose<'a>(holder: &'a Holder, server: &'a str, name: &'a str) -> Purpose<'a> {
        Purpose { holder, server, method: "tools/call", name }
    }

    fn given(handed: &Handed, purpose: &Purpose<'_>, state: &str) -> String {
        let asked = json!({ "resultType": "input_required", "inputRequests": {}, "requestState": state });
        let reply = handed.seal(purpose, McpReply::InputRequired(to_raw_value(&asked).unwrap())).unwrap();
        let told: Value = serde_json::from_str(reply.raw().get()).unwrap();
        told["requestState"].as_str().unwrap().to_owned()
    }

    fn brought(handed: &Handed, purpose: &Purpose<'_>, sealed: &str) -> Result<String, i64> {
        let mut rest = BTreeMap::from([(FIELD.to_owned(), to_raw_value(sealed).unwrap())]);
        match handed.open(purpose, &mut rest) {
            Ok(()) => Ok(serde_json::from_str(rest[FIELD].get()).unwrap()),
            Err(McpError::Rpc { code, .. }) => Err(code),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_state_comes_back_from_whoever_got_it_for_what_it_was_for_and_from_nobody_else() {
        let key = SealKey::generate();
        let (handed, sibling) = (Handed::new(key.clone()), Handed::new(key));
        let (ann, bob) = (holder("ann@x.org"), holder("bob@x.org"));
        let own = purpose(&ann, "lab", "pay");
        let sealed = given(&handed, &own, "step:2 \"ü\"");
        assert_eq!(brought(&handed, &own, &sealed).as_deref(), Ok("step:2 \"ü\""));
        assert_eq!(brought(&sibling, &own, &sealed).as_deref(), Ok("step:2 \"ü\""), "another instance");
        for other in [purpose(&bob, "lab", "pay"), purpose(&ann, "bank", "pay"), purpose(&ann, "lab", "drop")] {
            assert_eq!(brought(&handed, &other, &sealed), Err(INVALID_PARAMS), "{other:?}");
        }
        let prompt = Purpose { method: "prompts/get", ..own };
        assert_eq!(brought(&handed, &prompt, &sealed), Err(INVALID_PARAMS));
        assert_eq!(brought(&Handed::new(SealKey::generate()), &own, &sealed), Err(INVALID_PARAMS));
        for bad in
            [sealed.replace("step:2", "step:3"), "step:2".into(), MARK.into(), format!("{MARK}0:x"), String::new()]
        {
            assert_eq!(brought(&handed, &own, &bad), Err(INVALID_PARAMS), "{bad}");
        }
    }

    #[test]
    fn what_has_no_state_goes_on_as_it_is() {
        let (handed, ann) = (Handed::new(SealKey::generate()), holder("ann@x.org"));
        let raw = || RawValue::from_string(r#"{ "inputRequests": {} }"#.into()).unwrap();
        let sealed = handed.seal(&purpose(&ann, "lab", "pay"), McpReply::InputRequired(raw())).unwrap();
        assert_eq!(sealed.raw().get(), raw().get());
        let mut rest = BTreeMap::new();
        handed.open(&purpose(&ann, "lab", "pay"), &mut rest).unwrap();
        assert!(rest.is_empty());
    }
}
