//! What is on offer to one person by the names of a door, and when that may have changed.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::{Inner, Omni, steps};
use crate::{
    catalog::{
        Catalog, NameRules, OfferedTool, PromptDef, ResourceDef, ResourceTemplateDef, ServerView, ToolSet, name,
        template::Template,
    },
    error::Error,
    identity::{Credential, Scope},
    parts::Parts,
    policy::{Decision, Grant, PolicyVersion},
};

/// How long servers that were not asked yet may hold up a list.
const DISCOVER_WITHIN: Duration = Duration::from_secs(10);

/// What is on offer to one person beside tools. A prompt is offered under a name as tools are; a resource under
/// its own address, and where two servers have one of the same address it is that of the server whose name
/// comes first.
pub(crate) struct Offer<'a> {
    grant: &'a Grant,
    sight: Sight,
    servers: Vec<&'a ServerView>,
    /// By the names under which they are on offer.
    pub(crate) prompts: Vec<(Arc<str>, &'a Arc<PromptDef>)>,
    pub(crate) resources: Vec<&'a Arc<ResourceDef>>,
    pub(crate) templates: Vec<&'a Arc<ResourceTemplateDef>>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// What the grant lets be listed.
    Allowed,
    /// All that there is, for the record of what is refused.
    Everything,
}

impl<'a> Offer<'a> {
    /// What of a catalog a grant lets be listed.
    pub(crate) fn of(parts: &Parts, catalog: &'a Catalog, grant: &'a Grant, names: NameRules) -> Self {
        Self::seen(parts, catalog, grant, names, Sight::Allowed)
    }

    pub(super) fn seen(parts: &Parts, catalog: &'a Catalog, grant: &'a Grant, names: NameRules, sight: Sight) -> Self {
        let is_seen = |decision: Decision| sight == Sight::Everything || decision.is_allowed();
        let is_on = |view: &&ServerView| parts.pool.options(&view.name).is_some_and(|options| options.enabled);
        let servers: Vec<&ServerView> = catalog.servers.iter().filter(is_on).collect();
        let prompts: Vec<&Arc<PromptDef>> = servers
            .iter()
            .flat_map(|view| &view.prompts)
            .filter(|def| is_seen(grant.decide_prompt(&def.server, &def.name)))
            .collect();
        let keys: Vec<(&str, &str)> = prompts.iter().map(|def| (&*def.server, &*def.name)).collect();
        let prompts = name::assign_keys(&keys, names).into_iter().zip(prompts).collect();
        let (mut uris, mut families) = (BTreeSet::new(), BTreeSet::new());
        let resources = servers
            .iter()
            .flat_map(|view| &view.resources)
            .filter(|def| is_seen(grant.decide_resource(&def.server, &def.uri)) && uris.insert(def.uri.clone()))
            .collect();
        let templates = servers
            .iter()
            .flat_map(|view| &view.templates)
            .filter(|def| is_seen(grant.decide_resource(&def.server, &def.uri_template)))
            .filter(|def| families.insert(def.uri_template.clone()))
            .collect();
        Self { grant, sight, servers, prompts, resources, templates }
    }

    /// The prompt that is on offer under a name.
    pub(crate) fn prompt(&self, name: &str) -> Option<&'a Arc<PromptDef>> {
        self.prompts.iter().find(|(offered, _)| **offered == *name).map(|(_, def)| *def)
    }

    /// The server of a resource: the one that lists it, else the one of whose families it is, else the only one
    /// that has resources, for not every resource is listed.
    pub(crate) fn server_of(&self, uri: &str) -> Option<Arc<str>> {
        let listed = || self.resources.iter().find(|def| *def.uri == *uri).map(|def| def.server.clone());
        let family = || {
            let is_of = |def: &&&Arc<ResourceTemplateDef>| Template::new(&def.uri_template).matches(uri);
            self.templates.iter().find(is_of).map(|def| def.server.clone())
        };
        let only = || {
            let mut having = self.servers.iter().filter(|view| {
                let is_seen = || self.grant.decide_resource(&view.name, uri).is_allowed();
                view.capabilities.resources() && (self.sight == Sight::Everything || is_seen())
            });
            having.next().filter(|_| having.next().is_none()).map(|view| view.name.clone())
        };
        let unlisted = || is_plain(uri).then(|| family().or_else(only)).flatten();
        listed().or_else(unlisted)
    }

    /// The server of a family of resources.
    pub(crate) fn server_of_template(&self, template: &str) -> Option<Arc<str>> {
        let listed = self.templates.iter().find(|def| *def.uri_template == *template).map(|def| def.server.clone());
        listed.or_else(|| self.server_of(template))
    }

    /// What the policy says of a prompt or a resource of a server.
    pub(crate) fn decide(&self, server: &str, own: &str, is_prompt: bool) -> Decision {
        match is_prompt {
            true => self.grant.decide_prompt(server, own),
            false => self.grant.decide_resource(server, own),
        }
    }
}

impl Omni {
    /// The tools that somebody may use, by these names. Servers that do not answer in time are left out.
    ///
    /// # Errors
    /// An [`Error`] when the credential or the policy says no.
    pub async fn offered(&self, who: impl Into<Credential>, names: NameRules) -> Result<Arc<ToolSet>, Error> {
        let (parts, grant, catalog) = self.visit(who.into()).await?;
        Ok(parts.tool_sets.of(&catalog, &grant, names))
    }

    /// The tool that is on offer to somebody under a name. Servers that were not asked yet are asked only where nothing
    /// is known of it.
    ///
    /// # Errors
    /// An [`Error`] when the credential or the policy says no.
    pub(crate) async fn offered_tool(
        &self,
        who: Credential,
        names: NameRules,
        name: &str,
    ) -> Result<Option<OfferedTool>, Error> {
        let parts = self.parts();
        let principal = steps::identity(&parts, &who).await?;
        let grant = steps::policy(&parts, &principal).await?;
        grant.require(Scope::Tools)?;
        let find = || parts.tool_sets.of(&parts.pool.catalog(), &grant, names).by_llm_name(name).cloned();
        if let Some(tool) = find() {
            return Ok(Some(tool));
        }
        let token = steps::token(&parts, &who, &principal);
        let _ = timeout(DISCOVER_WITHIN, parts.pool.discover_for(token.as_ref())).await;
        Ok(find())
    }

    /// Looks at what is on offer to somebody beside tools.
    pub(crate) async fn with_offer<T>(
        &self,
        who: Credential,
        names: NameRules,
        look: impl FnOnce(&Offer<'_>) -> T,
    ) -> Result<T, Error> {
        let (parts, grant, catalog) = self.visit(who).await?;
        Ok(look(&Offer::of(&parts, &catalog, &grant, names)))
    }

    pub(super) async fn visit(&self, who: Credential) -> Result<(Arc<Parts>, Arc<Grant>, Arc<Catalog>), Error> {
        let parts = self.parts();
        let principal = steps::identity(&parts, &who).await?;
        let grant = steps::policy(&parts, &principal).await?;
        grant.require(Scope::Tools)?;
        let token = steps::token(&parts, &who, &principal);
        let catalog = timeout(DISCOVER_WITHIN, parts.pool.discover_for(token.as_ref())).await;
        let catalog = catalog.unwrap_or_else(|_| parts.pool.catalog());
        Ok((parts, grant, catalog))
    }

    /// Tells when tools, policy or configuration change.
    pub(crate) fn changed(&self) -> Changed {
        let parts = self.parts();
        Changed {
            omni: Arc::downgrade(&self.inner),
            replaced: self.inner.replaced.subscribe(),
            policy: parts.live.policy().version(),
            catalog: parts.pool.changes(),
        }
    }
}

/// Waits for changes of what is on offer to anybody.
#[derive(Debug)]
pub(crate) struct Changed {
    omni: Weak<Inner>,
    replaced: watch::Receiver<u64>,
    policy: watch::Receiver<PolicyVersion>,
    /// Of the present pool, and of those that follow it.
    catalog: watch::Receiver<u64>,
}

impl Changed {
    /// Waits for the next one; whether there can be another.
    pub(crate) async fn next(&mut self) -> bool {
        let was_replaced = tokio::select! {
            told = self.replaced.changed() => match told {
                Ok(()) => true,
                Err(_) => return false,
            },
            () = told(&mut self.policy) => false,
            () = told(&mut self.catalog) => false,
        };
        if was_replaced {
            let Some(inner) = self.omni.upgrade() else { return false };
            let parts = inner.parts.load_full();
            self.policy = parts.live.policy().version();
        }
        true
    }
}

/// Whether an address that nobody lists says where it leads: with steps upwards, escapes of what needs none, or
/// backslashes a server may read another address than the one that the policy judged.
fn is_plain(uri: &str) -> bool {
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    !uri.contains('\\') && !uri.split(['/', '?', '#']).any(is_dots) && !hides(uri)
}

/// Whether an escape stands for what could be written as it is, or for what parts an address.
fn hides(uri: &str) -> bool {
    uri.match_indices('%').any(|(at, _)| {
        let byte = uri.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        byte.is_none_or(|byte| byte.is_ascii_alphanumeric() || byte.is_ascii_control() || b"-._~/\\%".contains(&byte))
    })
}

/// Waits for a change; for ever where nobody can tell of one any more.
async fn told<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn an_address_that_hides_where_it_leads_is_of_no_family() {
        for plain in
            ["file:///notes/a.txt", "db://main/table?x=1", "note://caf%C3%A9/a%20b", "a:b..c/…", "x:a.b/.hidden"]
        {
            assert!(is_plain(plain), "{plain}");
        }
        for hidden in [
            "file:///notes/../secret",
            "file:///notes/./a",
            "file:///notes/..",
            "file:///notes/%2e%2e/secret",
            "file:///notes/%2E./secret",
            "file:///notes%2fsecret",
            "file:///notes/%61",
            "file:///notes/%",
            "file:///notes/%zz",
            "file:///notes/a%00.txt",
            "file:///notes/%252e%252e/secret",
            "file:///notes\\..\\secret",
        ] {
            assert!(!is_plain(hidden), "{hidden}");
        }
    }
}
