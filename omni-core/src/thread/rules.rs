//! What `threading.yaml` says of conversations.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{DEFAULT_EXPIRY, MAX_TURNS, Window};

/// Tokens that what was said before may take, where nobody says otherwise. A turn always fits.
const DEFAULT_TOKENS: u32 = 32_000;
/// What was said before takes no more of a model's window than one part of this many.
const PART_OF_WINDOW: u64 = 4;

/// What kind of place a conversation is at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// Nowhere but between one person and omni: a session at a terminal, a conversation by HTTP.
    #[default]
    Own,
    /// Direct messages, by their channel's id.
    Direct(String),
    /// A channel that several people read, by its id.
    Channel(String),
}

/// Whether a question brings along what was said before, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContextRules {
    /// Whether it does.
    pub enabled: bool,
    /// Most texts of people and the model; 0 is none.
    pub max_messages: u32,
}

impl ContextRules {
    /// So many texts.
    #[must_use]
    pub fn new(max_messages: u32) -> Self {
        Self { enabled: true, max_messages }
    }
}

/// Whether answers stand in threads; for doors that have threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyRules {
    /// Whether threads are used at all.
    pub enabled: bool,
    /// Whether every answer in a channel begins a thread.
    pub always: bool,
    /// Whether a question in a thread is answered there.
    pub continues: bool,
    /// Whether direct messages are answered in threads.
    pub direct: bool,
}

/// What one channel has of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlaceRules {
    /// Whether threads are used there.
    pub threads: Option<bool>,
    /// Whether questions bring along what was said before.
    pub context: Option<bool>,
    /// Most texts that they bring along.
    pub max_messages: Option<u32>,
}

/// When what is no longer brought along is told in short, and in how much.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SummaryRules {
    /// How many tokens of turns, estimated, may go without: more of them are told in short when they go.
    pub above_tokens: u32,
    /// Most tokens of a summary.
    pub max_tokens: u32,
    /// The model that writes it, by id or alias, for whoever may use that; else the one that answers.
    pub model: Option<String>,
}

impl Default for SummaryRules {
    fn default() -> Self {
        Self { above_tokens: 2_000, max_tokens: 800, model: None }
    }
}

/// What holds for conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadRules {
    /// What questions in channels bring along.
    pub channels: ContextRules,
    /// What questions in direct messages bring along.
    pub direct: ContextRules,
    /// What questions in sessions and in conversations by HTTP bring along.
    pub own: ContextRules,
    /// Where answers stand.
    pub replies: ReplyRules,
    /// Channels that have something of their own, by id.
    pub places: BTreeMap<String, PlaceRules>,
    /// Most tokens that what was said before may take, estimated.
    pub max_tokens: u32,
    /// How long a conversation is kept after it was used last.
    pub expiry: Duration,
    /// Whether what is no longer brought along is told in short.
    pub summary: Option<SummaryRules>,
}

impl Default for ThreadRules {
    fn default() -> Self {
        Self {
            channels: ContextRules::new(3),
            direct: ContextRules::new(5),
            own: ContextRules::new(20),
            replies: ReplyRules { enabled: true, always: true, continues: true, direct: false },
            places: BTreeMap::new(),
            max_tokens: DEFAULT_TOKENS,
            expiry: DEFAULT_EXPIRY,
            summary: None,
        }
    }
}

impl ThreadRules {
    /// Most texts that can be set: more are not kept.
    #[must_use]
    pub fn most_messages() -> u32 {
        u32::try_from(2 * MAX_TURNS).unwrap_or(u32::MAX)
    }

    /// What a question at a place brings along of what was said before, for a model with a window of so
    /// many tokens; `None`: nothing, and nothing of it is kept.
    #[must_use]
    pub fn window(&self, place: &Place, model_window: u64) -> Option<Window> {
        let (rules, own) = self.at(place);
        let is_on = own.context.unwrap_or(rules.enabled);
        let max_messages = own.max_messages.unwrap_or(rules.max_messages).min(Self::most_messages());
        let max_tokens = self.tokens(model_window);
        (is_on && max_messages > 0).then_some(Window { max_messages, max_tokens })
    }

    /// Most tokens of what was said that a model with a window of so many reads.
    pub(crate) fn tokens(&self, model_window: u64) -> u64 {
        u64::from(self.max_tokens).min(model_window / PART_OF_WINDOW)
    }

    /// Whether an answer stands in a thread; `in_thread` is whether the question did.
    #[must_use]
    pub fn replies_in_thread(&self, place: &Place, in_thread: bool) -> bool {
        let (_, own) = self.at(place);
        if !own.threads.unwrap_or(self.replies.enabled) {
            return false;
        }
        match place {
            Place::Direct(_) => self.replies.direct,
            Place::Own | Place::Channel(_) => (in_thread && self.replies.continues) || self.replies.always,
        }
    }

    fn at(&self, place: &Place) -> (ContextRules, PlaceRules) {
        let (rules, id) = match place {
            Place::Own => return (self.own, PlaceRules::default()),
            Place::Direct(id) => (self.direct, id),
            Place::Channel(id) => (self.channels, id),
        };
        (rules, self.places.get(id).copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> Place {
        Place::Channel("C1".into())
    }

    fn direct() -> Place {
        Place::Direct("D1".into())
    }

    /// The second of the original's tests of threads.
    #[test]
    fn an_answer_stands_in_a_thread_by_kind_of_place_and_where_the_question_did() {
        let mut rules = ThreadRules::default();
        assert!(rules.replies_in_thread(&channel(), false) && rules.replies_in_thread(&channel(), true));
        assert!(!rules.replies_in_thread(&direct(), true), "direct messages are flat");
        rules.replies.always = false;
        assert!(!rules.replies_in_thread(&channel(), false) && rules.replies_in_thread(&channel(), true));
        rules.replies.continues = false;
        assert!(!rules.replies_in_thread(&channel(), true));
        rules.replies.direct = true;
        assert!(rules.replies_in_thread(&direct(), false));
        rules.replies.enabled = false;
        assert!(!rules.replies_in_thread(&direct(), false));
        let own = PlaceRules { threads: Some(true), ..PlaceRules::default() };
        rules.places.insert("D1".into(), own);
        assert!(rules.replies_in_thread(&direct(), false), "a channel's own word counts");
    }

    /// The first of them, and the limits of the fourth.
    #[test]
    fn how_much_is_brought_along_is_said_for_each_kind_of_place() {
        let mut rules = ThreadRules::default();
        let messages = |rules: &ThreadRules, place: &Place| rules.window(place, 200_000).map(|w| w.max_messages);
        assert_eq!(messages(&rules, &channel()), Some(3));
        assert_eq!(messages(&rules, &direct()), Some(5));
        assert_eq!(messages(&rules, &Place::Own), Some(20));
        rules.channels.max_messages = 0;
        assert_eq!(messages(&rules, &channel()), None);
        rules.places.insert("C1".into(), PlaceRules { max_messages: Some(9_999), ..PlaceRules::default() });
        assert_eq!(messages(&rules, &channel()), Some(400), "no more than is kept");
        rules.places.insert("D1".into(), PlaceRules { context: Some(false), ..PlaceRules::default() });
        assert_eq!(messages(&rules, &direct()), None);
    }

    #[test]
    fn a_small_model_is_told_less() {
        let rules = ThreadRules::default();
        assert_eq!(rules.window(&Place::Own, 8_000).unwrap().max_tokens, 2_000);
        assert_eq!(rules.window(&Place::Own, 1_000_000).unwrap().max_tokens, 32_000);
    }
}
