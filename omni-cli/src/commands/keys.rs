//! `omni keys`.

use std::time::{Duration, SystemTime};

use omni_core::{
    ExposeSecret as _,
    identity::{ApiKey, Scope},
    omni::NewKey,
};
use serde_json::json;

use super::users::{administer, say, table};
use crate::{
    app::App,
    args::{CreateKeyArgs, ListKeysArgs, RevokeKeyArgs},
    exit::Exit,
    fault::Fault,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn create(app: &App, args: &CreateKeyArgs) -> Result<Exit, Fault> {
    let mut new = NewKey::new(&args.user, args.scope.iter().copied().collect());
    new.name.clone_from(&args.name);
    new.act_as.clone_from(&args.act_as);
    new.ceiling_role.clone_from(&args.ceiling);
    new.expires_at = args.expires_days.map(|days| (SystemTime::now() + DAY * days).into());
    let issued = administer(app, async |admin| admin.create_key(new).await).await?;
    let secret = issued.secret.expose_secret();
    let document = json!({
        "id": issued.key.id,
        "key": secret,
        "user": issued.key.owner,
        "scopes": scopes(&issued.key),
        "act_as": issued.key.act_as,
        "ceiling_role": issued.key.ceiling_role,
        "expires_at": issued.key.expires_at,
    });
    let exit = say(app, args.json, &document, secret)?;
    app.console.hint(&format!("this is the only time that key {} can be read", issued.key.id));
    Ok(exit)
}

pub(super) async fn list(app: &App, args: &ListKeysArgs) -> Result<Exit, Fault> {
    let keys = administer(app, async |admin| admin.keys_of(args.user.as_deref()).await).await?;
    let row = |key: &ApiKey| {
        let day = |at: Option<_>| at.map(|at: chrono::DateTime<chrono::Utc>| at.date_naive().to_string());
        let state = if key.is_valid(SystemTime::now().into()) { "valid" } else { "ended" };
        [
            key.id.to_string(),
            key.owner.clone(),
            scopes(key).join(","),
            state.into(),
            day(key.last_used).unwrap_or_else(|| "never".into()),
            day(key.expires_at).unwrap_or_else(|| "never".into()),
            key.name.clone().unwrap_or_default(),
        ]
    };
    let text = table(["ID", "USER", "SCOPES", "STATE", "USED", "ENDS", "NAME"], keys.iter().map(row));
    say(app, args.json, &keys, &text)
}

pub(super) async fn revoke(app: &App, args: &RevokeKeyArgs) -> Result<Exit, Fault> {
    let key = administer(app, async |admin| admin.revoke_key(args.id).await).await?;
    let line = format!("key {} of {} opens nothing any more", key.id, key.owner);
    say(app, args.json, &json!({ "id": key.id, "user": key.owner, "revoked_at": key.revoked_at }), &line)
}

fn scopes(key: &ApiKey) -> Vec<&'static str> {
    key.scopes.iter().map(Scope::as_str).collect()
}
