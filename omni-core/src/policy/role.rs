//! Roles, and what they may do beside using tools.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

/// Something that a role may do beside using tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Permission {
    /// Use what no allow list of the role names. What is denied stays denied.
    CanBypassToolRestrictions,
    /// Add, disable and approve people, and give out keys.
    CanManageUsers,
    /// Change the configuration and the policy.
    CanModifyConfig,
    /// Read what others asked.
    CanViewAuditLogs,
    /// Agree to calls that need a human. Where a file takes it away, such calls are denied to the role.
    CanExecuteDangerousTools,
    /// Look at any database. Where a file takes it away, people of the role need `allowed_databases`.
    CanAccessAllDatabases,
    /// Give people other roles.
    CanPromoteUsers,
    /// Prune stored data.
    CanDeleteData,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::CanBypassToolRestrictions,
        Self::CanManageUsers,
        Self::CanModifyConfig,
        Self::CanViewAuditLogs,
        Self::CanExecuteDangerousTools,
        Self::CanAccessAllDatabases,
        Self::CanPromoteUsers,
        Self::CanDeleteData,
    ];

    /// The name in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CanBypassToolRestrictions => "can_bypass_tool_restrictions",
            Self::CanManageUsers => "can_manage_users",
            Self::CanModifyConfig => "can_modify_config",
            Self::CanViewAuditLogs => "can_view_audit_logs",
            Self::CanExecuteDangerousTools => "can_execute_dangerous_tools",
            Self::CanAccessAllDatabases => "can_access_all_databases",
            Self::CanPromoteUsers => "can_promote_users",
            Self::CanDeleteData => "can_delete_data",
        }
    }
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A person's role as shown to them and to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Role {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// Whether the role is admin or super admin.
    pub is_admin: bool,
    /// Whether the role is super admin.
    pub is_super_admin: bool,
    /// What it may do beside using tools.
    pub permissions: BTreeSet<Permission>,
    /// The roles that limit it, by the names of their rights; a super admin's limits nothing.
    pub(super) under: Vec<Arc<str>>,
}

impl Role {
    /// An ordinary role.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            is_admin: false,
            is_super_admin: false,
            permissions: BTreeSet::new(),
            under: Vec::new(),
        }
    }

    /// The role that may do everything the servers offer.
    #[must_use]
    pub fn super_admin() -> Self {
        let permissions = Permission::ALL.into();
        Self { name: "super_admin".into(), is_admin: true, is_super_admin: true, permissions, under: Vec::new() }
    }

    /// Whether the role may do it.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// The name that stands for the role's rights: a super admin's is not what an entry calls it.
    pub(crate) fn rights_name(&self) -> &str {
        if self.is_super_admin { "super_admin" } else { &self.name }
    }

    /// What is left of the role under another one. It keeps its name.
    pub(crate) fn lower(&mut self, ceiling: &Self) {
        self.is_admin &= ceiling.is_admin;
        self.is_super_admin &= ceiling.is_super_admin;
        self.permissions.retain(|permission| ceiling.may(*permission));
        if !ceiling.is_super_admin {
            self.under.push(ceiling.name.clone());
        }
        self.under.extend(ceiling.under.iter().cloned());
    }

    /// Whether it is one of `roles`, and so is every role that limits it. Super admins are admins too.
    #[must_use]
    pub fn is_one_of(&self, roles: &[String]) -> bool {
        let has = |name: &str| roles.iter().any(|role| role == name);
        let is_named = has(&self.name) || has(self.rights_name()) || (self.is_admin && has("admin"));
        is_named && self.under.iter().all(|name| has(name))
    }
}
