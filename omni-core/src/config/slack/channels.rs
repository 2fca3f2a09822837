//! Which channels the Slack bot answers in.

use std::collections::BTreeSet;

use crate::config::{
    Severity,
    load::Findings,
    spec::{AllowedChannelsSpec, ChannelModeSpec},
    yaml::Lines,
};

/// Which channels the bot answers in. A channel is listed by its id, or by its name with `#` in front.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelRules {
    /// The only ones; `None`: all.
    pub only: Option<BTreeSet<String>>,
    /// All but these.
    pub except: BTreeSet<String>,
    /// Whether private channels are none of them.
    pub no_private: bool,
    /// Whether channels that are shared with other organisations are none of them.
    pub no_shared: bool,
}

impl ChannelRules {
    /// Whether it takes a channel's name to know.
    #[must_use]
    pub fn have_names(&self) -> bool {
        self.only.iter().flatten().chain(&self.except).any(|own| is_name(own))
    }

    /// Whether a channel is allowed. One whose name is not known may be any that is excepted by its name.
    pub(super) fn allow(&self, channel: &str, name: Option<&str>, is_private: bool) -> bool {
        let is_in = |list: &BTreeSet<String>| {
            list.contains(channel) || name.is_some_and(|name| list.contains(&format!("#{name}")))
        };
        let is_excepted = is_in(&self.except) || (name.is_none() && self.except.iter().any(|own| is_name(own)));
        self.only.as_ref().is_none_or(is_in) && !is_excepted && !(is_private && self.no_private)
    }
}

fn is_name(own: &str) -> bool {
    own.starts_with('#')
}

pub(super) fn build(spec: &AllowedChannelsSpec, lines: &Lines, findings: &mut Findings) -> ChannelRules {
    let own = |list: &[String]| list.iter().map(|own| listed(own)).collect::<BTreeSet<_>>();
    let (only, except) = match spec.mode {
        ChannelModeSpec::Any => (None, BTreeSet::new()),
        ChannelModeSpec::Whitelist => (Some(own(&spec.whitelist)), BTreeSet::new()),
        ChannelModeSpec::Blacklist => (None, own(&spec.blacklist)),
    };
    for name in only.iter().flatten().chain(&except).filter(|own| is_name(own)) {
        let message = format!(
            "whoever may rename channels decides which one {name:?} is; an id such as C0123456789 stays with its channel"
        );
        findings.all.push(lines.finding(Severity::Warning, "allowed_channels", message));
    }
    let (no_private, no_shared) =
        (spec.allow_private_channels == Some(false), spec.allow_shared_channels == Some(false));
    ChannelRules { only, except, no_private, no_shared }
}

/// An id as it is, and anything else as a name: ids have capital letters, names have none.
fn listed(own: &str) -> String {
    let own = own.trim();
    let is_id =
        own.starts_with(['C', 'G']) && !own.bytes().any(|byte| !byte.is_ascii_uppercase() && !byte.is_ascii_digit());
    if is_id { own.to_owned() } else { format!("#{}", own.trim_start_matches('#').to_lowercase()) }
}
