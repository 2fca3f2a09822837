//! `views.*`: modals and homes.

use serde_json::{Value, json};

use super::{Method, answer, method, tier};
use crate::slack::{
    View, World,
    args::Args,
    refusal::{Answer, Refusal},
    views,
};

pub(super) const METHODS: &[Method] = &[
    method("views.open", &[], tier::FOUR, open),
    method("views.push", &[], tier::FOUR, push),
    method("views.update", &[], tier::FOUR, update),
    method("views.publish", &[], tier::FOUR, publish),
];

fn given(args: &Args) -> Result<Value, Refusal> {
    args.json("view")?.ok_or_else(|| Refusal::missing("view"))
}

fn shown(view: &View) -> Answer {
    Ok(answer(json!({ "view": view.body })))
}

fn open(world: &mut World, args: &Args) -> Answer {
    let (user, _) = world.uses_trigger(args)?;
    let given = given(args)?;
    views::check(&given, "modal")?;
    world.views.retain(|view| view.user != user);
    let view = world.shows(&user, given);
    shown(&view)
}

fn push(world: &mut World, args: &Args) -> Answer {
    let (user, from) = world.uses_trigger(args)?;
    if from.is_none() {
        return Err(Refusal::breach("invalid_trigger_id").because("it is not from a modal"));
    }
    let given = given(args)?;
    views::check(&given, "modal")?;
    if world.views(&user).len() >= views::IN_A_STACK {
        return Err(Refusal::breach("push_limit_reached"));
    }
    let view = world.shows(&user, given);
    shown(&view)
}

fn update(world: &mut World, args: &Args) -> Answer {
    let given = given(args)?;
    let id = match (args.text("view_id"), args.text("external_id")) {
        (Some(id), _) => Some(id.to_owned()),
        (None, Some(external)) => {
            let open = world.views.iter().find(|view| view.body["external_id"] == external);
            open.map(|view| view.id.clone())
        }
        (None, None) => return Err(Refusal::missing("view_id")),
    };
    let homes = world.homes.values();
    let current = world.views.iter().chain(homes).find(|view| Some(&view.id) == id.as_ref()).cloned();
    let current = current.ok_or_else(|| Refusal::state("not_found"))?;
    if args.text("hash").is_some_and(|hash| current.body["hash"] != hash) {
        return Err(Refusal::state("hash_conflict"));
    }
    views::check(&given, &current.kind)?;
    let view = world.changes(&current, given);
    shown(&view)
}

fn publish(world: &mut World, args: &Args) -> Answer {
    let user = args.need("user_id")?.to_owned();
    if !world.users.contains_key(&user) {
        return Err(Refusal::state("user_not_found"));
    }
    if !world.app.has_home {
        return Err(Refusal::breach("not_enabled"));
    }
    let given = given(args)?;
    views::check(&given, "home")?;
    let hash = args.text("hash");
    if hash.is_some_and(|hash| world.homes.get(&user).is_none_or(|home| home.body["hash"] != hash)) {
        return Err(Refusal::state("hash_conflict"));
    }
    let view = world.publishes(&user, given);
    shown(&view)
}
