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
        template,
    },
    error::Error,
    identity::{Credential, Scope},
    parts::Parts,
    policy::{Decision, Grant, PolicyVersion},
};

mod address;

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
        let is_on = |view: &&ServerView| parts.pool.options(&view.name).is_some_and(|options| options.enabled);
        Self::over(catalog.servers.iter().filter(is_on).collect(), grant, names, sight)
    }

    fn over(servers: Vec<&'a ServerView>, grant: &'a Grant, names: NameRules, sight: Sight) -> Self {
        let is_seen = |decision: Decision| sight == Sight::Everything || decision.is_allowed();
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
        let listed = self.resources.iter().find(|def| *def.uri == *uri).map(|def| def.server.clone());
        listed.or_else(|| address::is_plain(uri).then(|| self.server_of_unlisted(uri)).flatten())
    }

    fn server_of_unlisted(&self, uri: &str) -> Option<Arc<str>> {
        let is_seen = |server: &str| self.sight == Sight::Everything || self.decide_unlisted(server, uri).is_allowed();
        let is_of = |def: &&&Arc<ResourceTemplateDef>| template::has(&def.uri_template, uri);
        if let Some(family) = self.templates.iter().find(is_of) {
            return Some(family.server.clone()).filter(|server| is_seen(server));
        }
        let mut having = self.servers.iter().filter(|view| view.capabilities.resources() && is_seen(&view.name));
        having.next().filter(|_| having.next().is_none()).map(|view| view.name.clone())
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
            false if self.is_listed(server, own) => self.grant.decide_resource(server, own),
            false => self.decide_unlisted(server, own),
        }
    }

    /// Whether a server lists a resource or a family of resources.
    fn is_listed(&self, server: &str, own: &str) -> bool {
        let is_it = |of: &str, key: &str| of == server && key == own;
        self.resources.iter().any(|def| is_it(&def.server, &def.uri))
            || self.templates.iter().any(|def| is_it(&def.server, &def.uri_template))
    }

    /// What is said of a resource that nobody lists: it is denied by whatever denies one that it may be read as.
    fn decide_unlisted(&self, server: &str, uri: &str) -> Decision {
        let decision = self.grant.decide_resource(server, uri);
        if !decision.is_allowed() {
            return decision;
        }
        let denying = |reading: &String| self.grant.rules.denial_of_resource(server, reading);
        address::readings(uri).iter().find_map(denying).unwrap_or(decision)
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

/// Waits for a change; for ever where nobody can tell of one any more.
async fn told<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
