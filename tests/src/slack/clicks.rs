//! Buttons, menus and forms.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Message, Sent, Slack, Surface, View, World, answers, delivery::Outcome, looks};

/// What became of a form.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// It closed.
    Closed,
    /// It stays open with a complaint by block id.
    Errors(BTreeMap<String, String>),
    /// It shows something else.
    Updated(View),
    /// Another lies on top of it.
    Pushed(View),
    /// The whole stack closed.
    Cleared,
    /// The bot did not answer in three seconds: the person is told that it could not be sent.
    Failed,
}

impl Slack {
    /// Presses a button. Who does not see it cannot press it; a button that was replaced since `on` was read can
    /// still be pressed, as by somebody whose screen is a moment behind.
    pub async fn clicks(&self, user: &str, on: impl Into<Surface>, action_id: &str) -> Sent {
        self.uses(user, on.into(), action_id, None).await
    }

    /// Presses the button that has this value, of several with one action id or of feedback buttons.
    pub async fn clicks_value(&self, user: &str, on: impl Into<Surface>, action_id: &str, value: &str) -> Sent {
        self.uses(user, on.into(), action_id, Some(value)).await
    }

    /// Picks the option with this value, or types it.
    pub async fn selects(&self, user: &str, on: impl Into<Surface>, action_id: &str, value: &str) -> Sent {
        self.uses(user, on.into(), action_id, Some(value)).await
    }

    async fn uses(&self, user: &str, on: Surface, action_id: &str, value: Option<&str>) -> Sent {
        let (body, trigger_id, response_url) = self.shared.with(|world| {
            assert!(world.app.is_interactive, "the app does not take clicks");
            match &on {
                Surface::Message(message) => world.acts_on_message(user, message, action_id, value),
                Surface::View(view) => world.acts_on_view(user, view, action_id, value),
            }
        });
        let delivery = self.act(|world| world.hands_over("interactive", body, false)).await;
        Sent { trigger_id, response_url, delivery, shared: self.shared.clone() }
    }

    /// Sends a form: a value by action id, or by block id where several have one action id (a text, the value of an option, or a list of such).
    ///
    /// # Panics
    /// When the form is not open, or a required field has no value: Slack does not send such a form.
    pub async fn submits(&self, view: &View, values: Value) -> Submitted {
        let (open, delivery) = self
            .act(|world| {
                let open = world.open_view(view);
                let state = form(&open, &values);
                let delivery = world.sends_view("view_submission", &open, state);
                (open, delivery)
            })
            .await;
        match self.shared.outcome(&delivery).await {
            Outcome::Acked(ack) => self.shared.with(|world| answers::submitted(world, &open, ack.payload.as_ref())),
            Outcome::Failed => Submitted::Failed,
        }
    }

    /// Closes a form without sending it.
    pub async fn closes(&self, view: &View) {
        self.act(|world| {
            let open = world.open_view(view);
            world.views.retain(|other| other.id != open.id);
            if open.body["notify_on_close"] == true {
                world.sends_view("view_closed", &open, Map::new());
            }
        })
        .await;
    }
}

impl World {
    fn open_view(&self, view: &View) -> View {
        let open = self.views.iter().find(|open| open.id == view.id).cloned();
        open.unwrap_or_else(|| panic!("the modal {:?} is not open any more", view.body["title"]["text"]))
    }

    fn sends_view(&mut self, kind: &str, view: &View, state: Map<String, Value>) -> String {
        let (mut body, _) = self.interaction(kind, &view.user, Some(view));
        body["view"] = view.body.clone();
        body["view"]["state"] = json!({ "values": state });
        match kind {
            "view_submission" => body["response_urls"] = json!([]),
            _ => body["is_cleared"] = false.into(),
        }
        self.hands_over("interactive", body, kind == "view_submission")
    }

    fn acts_on_message(
        &mut self,
        user: &str,
        seen: &Message,
        action_id: &str,
        value: Option<&str>,
    ) -> (Value, String, Option<String>) {
        let is_ephemeral = seen.only_for.is_some();
        if let Some(only) = &seen.only_for {
            assert_eq!(only, user, "an ephemeral message is seen by one user");
        }
        assert!(self.is_in(user, &seen.channel), "{user} is not in {}", seen.channel);
        let ephemeral = self.ephemerals.iter().find(|message| message.ts == seen.ts);
        let now = if is_ephemeral { ephemeral } else { self.look_up(&seen.channel, &seen.ts) };
        let now = now.cloned().unwrap_or_else(|| seen.clone());
        let has = |message: &Message| used(&message.blocks, action_id, value).is_some();
        let message = if has(&now) { now } else { seen.clone() };
        let (mut body, trigger) = self.interaction("block_actions", user, None);
        let hook = self.hook("actions", &message.channel, user, Some((message.ts.clone(), is_ephemeral)));
        let action = self.action(&message.blocks, action_id, value);
        body["state"] = json!({ "values": state_of(&message.blocks, &action) });
        body["actions"] = json!([action]);
        body["channel"] = json!({ "id": message.channel, "name": self.channel_name(&message.channel) });
        body["response_url"] = hook.clone().into();
        body["container"] = json!({
            "type": "message", "message_ts": message.ts, "channel_id": message.channel, "is_ephemeral": is_ephemeral,
        });
        if let Some(thread) = &message.thread_ts {
            body["container"]["thread_ts"] = thread.clone().into();
        }
        if !is_ephemeral {
            body["message"] = self.message_json(&message);
        }
        (body, trigger, Some(hook))
    }

    fn acts_on_view(
        &mut self,
        user: &str,
        seen: &View,
        action_id: &str,
        value: Option<&str>,
    ) -> (Value, String, Option<String>) {
        assert_eq!(seen.user, user, "a modal or a home is seen by one user");
        let now = self.views.iter().chain(self.homes.values()).find(|view| view.id == seen.id);
        let now = now.cloned().unwrap_or_else(|| seen.clone());
        let view = if used(now.blocks(), action_id, value).is_some() { now } else { seen.clone() };
        let (mut body, trigger) = self.interaction("block_actions", user, (view.kind == "modal").then_some(&view));
        let action = self.action(view.blocks(), action_id, value);
        body["view"] = view.body.clone();
        body["view"]["state"] = json!({ "values": state_of(view.blocks(), &action) });
        body["actions"] = json!([action]);
        body["container"] = json!({ "type": "view", "view_id": view.id });
        (body, trigger, None)
    }

    /// What is told of the element that was used.
    fn action(&mut self, blocks: &[Value], action_id: &str, value: Option<&str>) -> Value {
        let (block, element) = used(blocks, action_id, value).unwrap_or_else(|| {
            panic!("there is no {action_id} with {value:?}; there are {:?}", looks::actions(blocks))
        });
        let mut action = json!({
            "type": element["type"], "action_id": action_id, "block_id": block["block_id"], "action_ts": self.ts(),
        });
        let fields = action.as_object_mut().expect("it is an object");
        match element["type"].as_str().unwrap_or_default() {
            "button" | "icon_button" => {
                for name in ["text", "value", "style"] {
                    if let Some(known) = element.get(name) {
                        fields.insert(name.into(), known.clone());
                    }
                }
            }
            "feedback_buttons" => {
                let pressed = feedback(element, value).expect("it was found by its value");
                fields.insert("text".into(), pressed["text"].clone());
                fields.insert("value".into(), pressed["value"].clone());
            }
            _ => fields.extend(picked(element, &json!(value.expect("a menu is used by picking a value")))),
        }
        action
    }
}

fn feedback<'a>(element: &'a Value, value: Option<&str>) -> Option<&'a Value> {
    let buttons = ["positive_button", "negative_button"].map(|name| &element[name]);
    buttons.into_iter().find(|button| value.is_none_or(|value| button["value"] == value))
}

/// The element with this action id, and with this value where it matters.
fn used<'a>(blocks: &'a [Value], action_id: &str, value: Option<&str>) -> Option<(&'a Value, &'a Value)> {
    let fits = |element: &Value| match element["type"].as_str() {
        Some("button" | "icon_button") => value.is_none_or(|value| element["value"] == value),
        Some("feedback_buttons") => feedback(element, value).is_some(),
        _ => true,
    };
    looks::elements(blocks).find(|(_, element)| element["action_id"] == action_id && fits(element))
}

fn option(element: &Value, value: &Value) -> Value {
    let own = element["options"].as_array().into_iter().flatten();
    let groups = element["option_groups"].as_array().into_iter().flatten();
    let grouped = groups.flat_map(|group| group["options"].as_array().into_iter().flatten());
    let found = own.chain(grouped).find(|option| option["value"] == *value);
    found.cloned().unwrap_or_else(|| panic!("{} has no option {value}", element["action_id"]))
}

/// The value of an element as Slack tells it.
fn picked(element: &Value, value: &Value) -> Map<String, Value> {
    let all = || value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let options = || all().iter().map(|value| option(element, value)).collect::<Vec<_>>();
    let (name, told) = match element["type"].as_str().unwrap_or_default() {
        "static_select" | "radio_buttons" | "overflow" => ("selected_option", option(element, value)),
        "multi_static_select" | "checkboxes" => ("selected_options", options().into()),
        "users_select" => ("selected_user", value.clone()),
        "multi_users_select" => ("selected_users", all().into()),
        "conversations_select" => ("selected_conversation", value.clone()),
        "multi_conversations_select" => ("selected_conversations", all().into()),
        "channels_select" => ("selected_channel", value.clone()),
        "multi_channels_select" => ("selected_channels", all().into()),
        "datepicker" => ("selected_date", value.clone()),
        "timepicker" => ("selected_time", value.clone()),
        "datetimepicker" => ("selected_date_time", value.clone()),
        _ => ("value", value.clone()),
    };
    Map::from_iter([(name.to_owned(), told)])
}

/// What an element has at first.
fn initial(element: &Value) -> Option<Map<String, Value>> {
    let is_there = |name: &str| element.get(name).filter(|value| !value.is_null()).cloned();
    let names = [
        ("initial_option", "selected_option"),
        ("initial_options", "selected_options"),
        ("initial_user", "selected_user"),
        ("initial_users", "selected_users"),
        ("initial_conversation", "selected_conversation"),
        ("initial_conversations", "selected_conversations"),
        ("initial_channel", "selected_channel"),
        ("initial_date", "selected_date"),
        ("initial_time", "selected_time"),
        ("initial_value", "value"),
        ("initial_date_time", "selected_date_time"),
    ];
    names.into_iter().find_map(|(from, to)| Some(Map::from_iter([(to.to_owned(), is_there(from)?)])))
}

/// What an element without a value is told to have.
fn nothing(element: &Value) -> Map<String, Value> {
    let (name, value) = match element["type"].as_str().unwrap_or_default() {
        "static_select" | "radio_buttons" | "external_select" => ("selected_option", Value::Null),
        "multi_static_select" | "multi_external_select" | "checkboxes" => ("selected_options", json!([])),
        "users_select" => ("selected_user", Value::Null),
        "multi_users_select" => ("selected_users", json!([])),
        "conversations_select" => ("selected_conversation", Value::Null),
        "multi_conversations_select" => ("selected_conversations", json!([])),
        "channels_select" => ("selected_channel", Value::Null),
        "multi_channels_select" => ("selected_channels", json!([])),
        "datepicker" => ("selected_date", Value::Null),
        "timepicker" => ("selected_time", Value::Null),
        "datetimepicker" => ("selected_date_time", Value::Null),
        _ => ("value", Value::Null),
    };
    Map::from_iter([(name.to_owned(), value)])
}

fn has_value(element: &Value) -> bool {
    !matches!(
        element["type"].as_str(),
        Some("button" | "icon_button" | "feedback_buttons" | "overflow" | "image" | "workflow_button") | None
    )
}

fn put(state: &mut Map<String, Value>, block: &Value, element: &Value, told: Map<String, Value>) {
    let (Some(block), Some(action)) = (block["block_id"].as_str(), element["action_id"].as_str()) else { return };
    let mut told = told;
    told.insert("type".into(), element["type"].clone());
    let place = state.entry(block).or_insert_with(|| json!({}));
    place[action] = Value::Object(told);
}

/// The values of all elements after one of them was used.
fn state_of(blocks: &[Value], action: &Value) -> Map<String, Value> {
    let mut state = Map::new();
    for (block, element) in looks::elements(blocks).filter(|(_, element)| has_value(element)) {
        let is_used = action["block_id"] == block["block_id"] && action["action_id"] == element["action_id"];
        let told = if is_used {
            let fields = action.as_object().into_iter().flatten();
            let values = fields.filter(|(name, _)| name.starts_with("selected_") || *name == "value");
            values.map(|(name, value)| (name.clone(), value.clone())).collect()
        } else {
            initial(element).unwrap_or_else(|| nothing(element))
        };
        put(&mut state, block, element, told);
    }
    state
}

/// The values of a form that is sent; what a client would not send is a mistake of the test.
fn form(view: &View, values: &Value) -> Map<String, Value> {
    let mut state = Map::new();
    let mut unknown: Vec<&String> = values.as_object().map(|values| values.keys().collect()).unwrap_or_default();
    for (block, element) in looks::elements(view.blocks()).filter(|(_, element)| has_value(element)) {
        let action = element["action_id"].as_str().unwrap_or_default();
        let place = block["block_id"].as_str().unwrap_or_default();
        unknown.retain(|name| *name != action && *name != place);
        let given = values
            .get(place)
            .or_else(|| values.get(action))
            .filter(|value| !value.is_null() && value.as_str() != Some(""));
        let told = given.map(|value| picked(element, value)).or_else(|| initial(element));
        let is_needed = block["type"] == "input" && block["optional"] != true;
        assert!(told.is_some() || !is_needed, "{action} needs a value before the form can be sent");
        let length = given.and_then(Value::as_str).map_or(0, |text| text.chars().count() as u64);
        let most = element["max_length"].as_u64().unwrap_or(3000);
        assert!(length <= most, "{action} takes at most {most} characters");
        let least = element["min_length"].as_u64().filter(|_| length > 0).unwrap_or(0);
        assert!(length >= least, "{action} takes at least {least} characters");
        put(&mut state, block, element, told.unwrap_or_else(|| nothing(element)));
    }
    assert!(unknown.is_empty(), "the form has no {unknown:?}; it has {:?}", view.actions());
    state
}
