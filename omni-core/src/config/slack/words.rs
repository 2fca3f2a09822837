//! What the operator wants the Slack bot to say, and by which signs it is called.

use std::collections::BTreeSet;

use crate::config::spec::{
    NamedReactionSpec, ReactionSpec, ReactionTriggersSpec, SignedTemplateSpec, TemplateSpec, TemplatesSpec,
};

/// Texts of the operator's own, with placeholders in braces; `None` is omni's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlackTemplates {
    /// To whoever greets the bot: `{role}`, `{user}`, `{rate_limit}`.
    pub welcome: Option<String>,
    /// A question failed: `{error}`, `{error_id}`.
    pub query_error: Option<String>,
    /// The policy said no: `{error}`, `{error_id}`, `{role}`, `{tool_name}`.
    pub permission_denied: Option<String>,
    /// A limit was reached: `{rate_limit}`, `{requests_used}`, `{reset_in_minutes}`, `{role}`.
    pub rate_limit: Option<String>,
    /// A server is away: `{mcp_name}`, `{error}`, `{error_id}`.
    pub mcp_unavailable: Option<String>,
}

pub(super) fn templates(spec: &TemplatesSpec) -> SlackTemplates {
    let text = |own: &Option<TemplateSpec>| own.as_ref().and_then(template);
    SlackTemplates {
        welcome: text(&spec.welcome),
        query_error: text(&spec.query_error),
        permission_denied: text(&spec.permission_denied),
        rate_limit: text(&spec.rate_limit),
        mcp_unavailable: text(&spec.mcp_unavailable),
    }
}

/// A text as Slack takes it, which has bold words between single asterisks.
fn template(spec: &TemplateSpec) -> Option<String> {
    let text = match spec {
        TemplateSpec::Text(text) => text.clone(),
        TemplateSpec::Signed(SignedTemplateSpec { enabled: Some(false), .. }) => return None,
        TemplateSpec::Signed(SignedTemplateSpec { emoji, format, message, .. }) => {
            let text = format.as_ref().or(message.as_ref())?;
            emoji.as_ref().map_or_else(|| text.clone(), |emoji| text.replace("{emoji}", emoji))
        }
    };
    let text = text.trim().replace("**", "*");
    (!text.is_empty()).then_some(text)
}

/// The names of reactions, as Slack delivers them: without colons.
pub(super) fn reactions(spec: &ReactionTriggersSpec) -> BTreeSet<String> {
    let name = |reaction: &ReactionSpec| {
        let (ReactionSpec::Name(name) | ReactionSpec::Named(NamedReactionSpec { emoji: name })) = reaction;
        name.trim().trim_matches(':').to_owned()
    };
    let names = spec.reactions.iter().filter(|_| spec.enabled).map(name);
    names.filter(|name| !name.is_empty()).collect()
}
