//! Who is who: `users.*`, `auth.test`, `bots.info`, `team.info`.

use serde_json::{Value, json};

use super::{Method, answer, method, tier};
use crate::slack::{
    APP, BOT, BOT_USER, TEAM, World,
    args::Args,
    refusal::{Answer, Refusal},
};

pub(super) const METHODS: &[Method] = &[
    method("auth.test", &[], tier::SPECIAL, test),
    method("users.info", &["users:read"], tier::FOUR, info),
    method("users.lookupByEmail", &["users:read.email"], tier::THREE, look_up),
    method("bots.info", &["users:read"], tier::THREE, bot),
    method("team.info", &["team:read"], tier::THREE, |_, _| {
        Ok(answer(json!({ "team": { "id": TEAM, "name": "Acme", "domain": "acme" } })))
    }),
];

fn test(world: &mut World, _: &Args) -> Answer {
    Ok(answer(json!({
        "url": "https://acme.slack.com/", "team": "Acme", "user": world.app.name, "team_id": TEAM,
        "user_id": BOT_USER, "bot_id": BOT, "is_enterprise_install": false,
    })))
}

/// The e-mail address is shown to apps with a scope for it.
fn shown(world: &World, user: &Value) -> Value {
    let mut user = user.clone();
    if let Some(profile) = user["profile"].as_object_mut() {
        if !world.app.scopes.contains("users:read.email") || profile["email"].is_null() {
            profile.remove("email");
        }
        profile.retain(|_, value| !value.is_null());
    }
    user
}

fn info(world: &mut World, args: &Args) -> Answer {
    let user = world.users.get(args.need("user")?).ok_or_else(|| Refusal::state("user_not_found"))?;
    Ok(answer(json!({ "user": shown(world, user) })))
}

fn look_up(world: &mut World, args: &Args) -> Answer {
    let email = args.need("email")?.to_lowercase();
    let has = |user: &&Value| {
        user["profile"]["email"].as_str().is_some_and(|own| own.to_lowercase() == email) && user["deleted"] == false
    };
    let user = world.users.values().find(has).ok_or_else(|| Refusal::state("users_not_found"))?;
    Ok(answer(json!({ "user": shown(world, user) })))
}

fn bot(world: &mut World, args: &Args) -> Answer {
    if args.text("bot").is_some_and(|bot| bot != BOT) {
        return Err(Refusal::state("bot_not_found"));
    }
    let name = &world.app.name;
    Ok(answer(json!({ "bot": { "id": BOT, "app_id": APP, "user_id": BOT_USER, "name": name, "deleted": false } })))
}
