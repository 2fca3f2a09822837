//! The workspace as it stands.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    Ack, BOT, BOT_USER, Message, TEAM, View,
    app::App,
    clock::Clock,
    content::Content,
    delivery::{Deliveries, Delivery},
    faults::Faults,
    rates::Rates,
    refusal::Refusal,
    socket::Sockets,
};

/// A call of the Web API, or a post to a response url (`response_url`).
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: String,
    /// Its arguments without the token.
    pub args: Value,
    /// The error that it was answered with.
    pub error: Option<String>,
    /// When, since the workspace began.
    pub at: Duration,
}

/// A file that the bot shared.
#[derive(Debug, Clone)]
pub struct File {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// The channel that it was shared in.
    pub channel: Option<String>,
    /// The thread that it was shared in.
    pub thread_ts: Option<String>,
}

/// What sort of conversation a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Public,
    Private,
    Direct,
}

#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) members: BTreeSet<String>,
    pub(super) is_archived: bool,
    /// People of another organisation are in it too.
    pub(super) is_shared: bool,
}

/// What opens a modal.
#[derive(Debug)]
pub(super) struct Trigger {
    pub(super) at: Duration,
    pub(super) is_used: bool,
    pub(super) user: String,
    /// The modal that it came from.
    pub(super) view: Option<String>,
}

/// Where answers to a command or a click can be posted.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    pub(super) at: Duration,
    pub(super) uses: u32,
    pub(super) channel: String,
    pub(super) user: String,
    /// The message that was clicked, and whether it is an ephemeral one.
    pub(super) original: Option<(String, bool)>,
}

/// A file between its announcement and its completion.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) length: usize,
    pub(super) content: Option<Vec<u8>>,
}

/// What the bot says of a thread.
#[derive(Debug, Default)]
pub(super) struct ThreadState {
    pub(super) statuses: Vec<String>,
    pub(super) title: Option<String>,
}

/// Everything that a test can look at while it waits; see [`super::Slack::until`].
#[derive(Debug)]
pub struct World {
    pub(super) clock: Arc<Clock>,
    pub(super) url: String,
    pub(super) app: App,
    pub(super) is_revoked: bool,
    pub(super) users: BTreeMap<String, Value>,
    pub(super) channels: BTreeMap<String, Channel>,
    pub(super) messages: HashMap<String, Vec<Message>>,
    pub(super) ephemerals: Vec<Message>,
    pub(super) views: Vec<View>,
    pub(super) homes: BTreeMap<String, View>,
    pub(super) reactions: BTreeMap<(String, String), Vec<(String, String)>>,
    pub(super) threads: BTreeMap<(String, String), ThreadState>,
    pub(super) prompts: BTreeMap<String, Vec<(String, String)>>,
    pub(super) uploads: HashMap<String, Upload>,
    pub(super) files: Vec<File>,
    pub(super) triggers: HashMap<String, Trigger>,
    pub(super) hooks: HashMap<String, Hook>,
    pub(super) calls: Vec<Call>,
    pub(super) violations: Vec<String>,
    pub(super) rates: Rates,
    pub(super) faults: Faults,
    pub(super) deliveries: Deliveries,
    pub(super) sockets: Sockets,
    /// How many posts mentioned the bot.
    pub(super) mentions: u64,
    ids: u64,
    newest_ts: u128,
}

impl World {
    pub(super) fn new(app: App, clock: Arc<Clock>, url: String) -> Self {
        let mut world = Self {
            clock,
            url,
            app,
            is_revoked: false,
            users: BTreeMap::new(),
            channels: BTreeMap::new(),
            messages: HashMap::new(),
            ephemerals: Vec::new(),
            views: Vec::new(),
            homes: BTreeMap::new(),
            reactions: BTreeMap::new(),
            threads: BTreeMap::new(),
            prompts: BTreeMap::new(),
            uploads: HashMap::new(),
            files: Vec::new(),
            triggers: HashMap::new(),
            hooks: HashMap::new(),
            calls: Vec::new(),
            violations: Vec::new(),
            rates: Rates::new(),
            faults: Faults::default(),
            deliveries: Deliveries::default(),
            sockets: Sockets::default(),
            mentions: 0,
            ids: 0,
            newest_ts: 0,
        };
        let name = world.app.name.clone();
        world.users.insert(BOT_USER.into(), user_json(BOT_USER, &name, None));
        world.users.insert("USLACKBOT".into(), user_json("USLACKBOT", "slackbot", None));
        world
    }

    /// An id that nothing else has.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        format!("{prefix}{:06X}", self.ids)
    }

    /// The time as a message carries it: unique, and later than every one before.
    pub(super) fn ts(&mut self) -> String {
        self.newest_ts = self.clock.unix().as_micros().max(self.newest_ts + 100);
        format!("{}.{:06}", self.newest_ts / 1_000_000, self.newest_ts % 1_000_000)
    }

    pub(super) fn breach(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    pub(super) fn add_user(&mut self, id: &str, email: &str) {
        let name = email.split('@').next().unwrap_or(id).to_owned();
        self.users.insert(id.into(), user_json(id, &name, Some(email)));
        for channel in self.channels.values_mut().filter(|channel| channel.kind == Kind::Public) {
            channel.members.insert(id.into());
        }
    }

    pub(super) fn add_channel(&mut self, id: &str, name: &str, kind: Kind, members: BTreeSet<String>) {
        let channel = Channel { id: id.into(), name: name.into(), kind, members, is_archived: false, is_shared: false };
        self.channels.insert(id.into(), channel);
    }

    /// The direct channel of a user and the bot, which comes to be when it is first asked for.
    pub(super) fn direct(&mut self, user: &str) -> Result<String, Refusal> {
        if !self.users.contains_key(user) {
            return Err(Refusal::state("user_not_found"));
        }
        let id = format!("D{}", user.trim_start_matches(['U', 'W']));
        if !self.channels.contains_key(&id) {
            let members = BTreeSet::from([user.to_owned(), BOT_USER.to_owned()]);
            self.add_channel(&id, "", Kind::Direct, members);
        }
        Ok(id)
    }

    pub(super) fn name_of(&self, user: &str) -> String {
        self.users.get(user).and_then(|user| user["name"].as_str()).unwrap_or(user).to_owned()
    }

    /// Whether a user is of this workspace; an organisation may have them in several.
    pub(super) fn is_of(&self, user: &str, team: &str) -> bool {
        let Some(user) = self.users.get(user) else { return false };
        let mut others = user["enterprise_user"]["teams"].as_array().into_iter().flatten();
        user["team_id"] == team || others.any(|other| other == team)
    }

    pub(super) fn is_in(&self, user: &str, channel: &str) -> bool {
        self.channels.get(channel).is_some_and(|channel| channel.members.contains(user))
    }

    pub(super) fn find(&mut self, channel: &str, ts: &str) -> Option<&mut Message> {
        let messages = self.messages.get_mut(channel)?;
        let index = messages.binary_search_by(|message| message.ts.as_str().cmp(ts)).ok()?;
        messages.get_mut(index)
    }

    pub(super) fn has(&self, channel: &str, ts: &str) -> bool {
        self.look_up(channel, ts).is_some()
    }

    pub(super) fn look_up(&self, channel: &str, ts: &str) -> Option<&Message> {
        let messages = self.messages.get(channel)?;
        let index = messages.binary_search_by(|message| message.ts.as_str().cmp(ts)).ok()?;
        messages.get(index)
    }

    pub(super) fn add(&mut self, message: Message) {
        self.messages.entry(message.channel.clone()).or_default().push(message);
    }

    /// A message of the bot, in its place; its ts.
    pub(super) fn bot_posts(&mut self, channel: &str, thread_ts: Option<&str>, content: Content) -> Message {
        let message = self.bot_message(channel, thread_ts, content);
        self.add(message.clone());
        message
    }

    /// A message of the bot that is not in its place yet.
    pub(super) fn bot_message(&mut self, channel: &str, thread_ts: Option<&str>, mut content: Content) -> Message {
        super::blocks::name_all(&mut content.blocks, || self.id("b"));
        Message {
            channel: channel.into(),
            ts: self.ts(),
            thread_ts: thread_ts.map(str::to_owned),
            user: BOT_USER.into(),
            by_bot: true,
            text: content.text,
            blocks: content.blocks,
            attachments: content.attachments,
            metadata: content.metadata,
            changed: self.clock.now(),
            touched: self.clock.real(),
            ..Message::default()
        }
    }

    /// Fills a message of the bot anew.
    pub(super) fn fill(&mut self, message: &mut Message, mut content: Content) {
        super::blocks::name_all(&mut content.blocks, || self.id("b"));
        message.text = content.text;
        message.blocks = content.blocks;
        message.attachments = content.attachments;
        message.metadata = content.metadata.or(message.metadata.take());
        message.edits += 1;
        message.changed = self.clock.now();
        message.touched = self.clock.real();
    }

    /// Something to be delivered.
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        self.deliveries.outbox.push_back(delivery);
    }
}

/// What people can look at.
impl World {
    /// What stands in a channel, oldest first.
    pub fn messages(&self, channel: &str) -> Vec<Message> {
        self.messages.get(channel).cloned().unwrap_or_default()
    }

    /// A thread, its first message included.
    pub fn thread(&self, channel: &str, thread_ts: &str) -> Vec<Message> {
        let all = self.messages.get(channel).into_iter().flatten();
        let is_in = |message: &&Message| message.ts == thread_ts || message.thread_ts.as_deref() == Some(thread_ts);
        all.filter(is_in).cloned().collect()
    }

    /// What only this user sees, oldest first.
    pub fn ephemerals(&self, user: &str) -> Vec<Message> {
        let is_theirs = |message: &&Message| message.only_for.as_deref() == Some(user);
        self.ephemerals.iter().filter(is_theirs).cloned().collect()
    }

    /// The modals that this user has open, the topmost last.
    pub fn views(&self, user: &str) -> Vec<View> {
        self.views.iter().filter(|view| view.user == user).cloned().collect()
    }

    /// The home that was published for a user.
    pub fn home(&self, user: &str) -> Option<View> {
        self.homes.get(user).cloned()
    }

    /// The bot's reactions to a message.
    pub fn reactions(&self, channel: &str, ts: &str) -> Vec<String> {
        let all = self.reactions.get(&(channel.to_owned(), ts.to_owned())).into_iter().flatten();
        all.filter(|(_, user)| user == BOT_USER).map(|(name, _)| name.clone()).collect()
    }

    /// What the bot is said to be doing in a thread, oldest first.
    pub fn statuses(&self, channel: &str, thread_ts: &str) -> Vec<String> {
        let thread = self.threads.get(&(channel.to_owned(), thread_ts.to_owned()));
        thread.map(|thread| thread.statuses.clone()).unwrap_or_default()
    }

    /// The title of a thread.
    pub fn title(&self, channel: &str, thread_ts: &str) -> Option<String> {
        self.threads.get(&(channel.to_owned(), thread_ts.to_owned()))?.title.clone()
    }

    /// The prompts that a channel suggests: title and message.
    pub fn prompts(&self, channel: &str) -> Vec<(String, String)> {
        self.prompts.get(channel).cloned().unwrap_or_default()
    }

    /// The files that the bot shared.
    pub fn files(&self) -> Vec<File> {
        self.files.clone()
    }

    /// Every call of one method.
    pub fn calls(&self, method: &str) -> Vec<Call> {
        self.calls.iter().filter(|call| call.method == method).cloned().collect()
    }

    /// Every ack, oldest first.
    pub fn acks(&self) -> Vec<Ack> {
        self.deliveries.acks.clone()
    }

    /// How many Socket Mode connections are open.
    pub fn connections(&self) -> usize {
        self.sockets.len()
    }

    /// Every rule that the bot broke.
    pub fn violations(&self) -> Vec<String> {
        self.violations.clone()
    }
}

fn user_json(id: &str, name: &str, email: Option<&str>) -> Value {
    let is_bot = email.is_none();
    json!({
        "id": id, "team_id": TEAM, "name": name, "real_name": name, "deleted": false, "color": "9f69e7",
        "tz": "Europe/Prague", "tz_label": "Central European Time", "tz_offset": 3600, "updated": 1_700_000_000,
        "is_bot": is_bot, "is_app_user": false, "is_admin": false, "is_owner": false, "is_restricted": false,
        "is_ultra_restricted": false, "is_email_confirmed": !is_bot,
        "profile": {
            "real_name": name, "display_name": name, "email": email, "team": TEAM, "avatar_hash": "g1",
            "bot_id": is_bot.then_some(BOT), "status_text": "", "status_emoji": "",
        },
    })
}
