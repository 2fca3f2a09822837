//! Roles and how much they may do.

use std::collections::BTreeSet;

use super::budget::budgets;
use crate::{
    config::{
        ConfigFiles,
        spec::{McpsSpec, PermissionsSpec, PersonBudgetSpec, QuotaSpec, RoleSpec, SettingsSpec, UsersSpec},
    },
    policy::{Permission, Quota, Role},
};

/// Roles that exist without being declared.
pub(crate) const BUILT_IN: [&str; 12] = [
    "admin",
    "super_admin",
    "dba",
    "senior_dev",
    "power_user",
    "junior_dba",
    "qa_tester",
    "read_only",
    "contractor",
    "developer",
    "qa",
    "analyst",
];
/// Requests in an hour where neither file nor role says otherwise.
const PER_HOUR: u64 = 30;
/// The role of a person who has none.
pub(crate) const NO_ROLE: &str = "read_only";
const ADMIN: &str = "admin";
pub(super) const SUPER_ADMIN: &str = "super_admin";

/// Every role that may be given to a person.
pub(crate) fn known_roles(files: &ConfigFiles) -> BTreeSet<String> {
    known_roles_of(files.users.as_ref(), &files.mcps)
}

/// [`known_roles`] of files that are still being read.
pub(crate) fn known_roles_of(users: Option<&UsersSpec>, mcps: &McpsSpec) -> BTreeSet<String> {
    let declared = users.into_iter().flat_map(|users| users.roles.keys()).chain(mcps.roles.keys());
    BUILT_IN.iter().map(ToString::to_string).chain(declared.cloned()).collect()
}

/// A role by its name.
pub(crate) fn role(files: &ConfigFiles, name: &str) -> Role {
    let mut role = Role::new(name);
    role.is_super_admin = name == SUPER_ADMIN;
    role.is_admin = role.is_super_admin || name == ADMIN;
    role.permissions = permissions(&role, declared(files, &role).map(|declared| &declared.permissions));
    role
}

/// The role of somebody whom `super_admins` lists, whatever else they are called.
pub(super) fn super_admin(name: Option<&str>) -> Role {
    Role { name: name.unwrap_or(SUPER_ADMIN).into(), ..Role::super_admin() }
}

/// What a role may do: what the file says of it, else what an admin may. To go around the tool
/// rules has to be said even of admins, and nothing is taken from super admins.
fn permissions(role: &Role, declared: Option<&PermissionsSpec>) -> BTreeSet<Permission> {
    let has = |permission: &Permission| {
        let said = declared.and_then(|declared| said(declared, *permission));
        role.is_super_admin || said.unwrap_or(role.is_admin && *permission != Permission::CanBypassToolRestrictions)
    };
    Permission::ALL.into_iter().filter(has).collect()
}

/// What a file says of a permission, if anything.
pub(super) fn said(declared: &PermissionsSpec, permission: Permission) -> Option<bool> {
    match permission {
        Permission::CanBypassToolRestrictions => declared.can_bypass_tool_restrictions,
        Permission::CanManageUsers => declared.can_manage_users,
        Permission::CanModifyConfig => declared.can_modify_config,
        Permission::CanViewAuditLogs => declared.can_view_audit_logs,
        Permission::CanExecuteDangerousTools => declared.can_execute_dangerous_tools,
        Permission::CanAccessAllDatabases => declared.can_access_all_databases,
        Permission::CanPromoteUsers => declared.can_promote_users,
        Permission::CanDeleteData => declared.can_delete_data,
    }
}

/// What `users.yaml` declares of a role.
pub(super) fn declared<'a>(files: &'a ConfigFiles, role: &Role) -> Option<&'a RoleSpec> {
    files.users.as_ref()?.roles.get(&*role.name)
}

/// How much a person may do: what is set for the person, else for the role, else in general.
pub(super) fn quota(files: &ConfigFiles, role: &Role, own: &QuotaSpec, own_budget: &PersonBudgetSpec) -> Quota {
    let declared = declared(files, role);
    let budgets = budgets(&files.settings.budgets, role, own_budget, declared.map(|role| &role.budget));
    if files.settings.rate_limiting.enabled == Some(false) {
        return Quota { budgets, ..Quota::default() };
    }
    let none = QuotaSpec::default();
    Quota { budgets, ..rates(&files.settings, role, own, declared.map_or(&none, |role| &role.rate_limit)) }
}

fn rates(settings: &SettingsSpec, role: &Role, own: &QuotaSpec, declared: &QuotaSpec) -> Quota {
    let general = &settings.rate_limiting;
    let default_hour = general.default_requests_per_hour.unwrap_or(PER_HOUR);
    let per_hour =
        own.requests_per_hour.or(declared.requests_per_hour).or_else(|| built_in(role)).unwrap_or(default_hour);
    // The defaults are for those who are limited at all.
    let most = |own: Option<u64>, declared: Option<u64>, default: Option<u64>| {
        own.or(declared).or(default.filter(|_| per_hour > 0)).filter(|most| *most > 0)
    };
    let default_concurrent = settings.performance.max_concurrent_requests_per_user;
    Quota {
        per_hour: Some(per_hour).filter(|most| *most > 0),
        per_minute: most(own.requests_per_minute, declared.requests_per_minute, general.default_requests_per_minute),
        burst: most(own.burst, declared.burst, general.default_burst),
        concurrent: most(own.concurrent_requests, declared.concurrent_requests, default_concurrent),
        ..Quota::default()
    }
}

/// The original's table; 0 is unlimited.
fn built_in(role: &Role) -> Option<u64> {
    if role.is_admin {
        return Some(0);
    }
    Some(match &*role.name {
        "dba" => 200,
        "senior_dev" => 150,
        "power_user" => 100,
        "junior_dba" | "qa_tester" => 50,
        "read_only" => 30,
        "contractor" => 20,
        _ => return None,
    })
}
