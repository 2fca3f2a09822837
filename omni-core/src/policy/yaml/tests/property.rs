//! What holds for any two files.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{YamlPolicy, config, grant};
use crate::policy::{Grant, Pattern, ToolRef};

pub(super) const TOOLS: [&str; 5] = ["get_a", "get_b", "drop_a", "kill_b", "list"];
pub(super) const EMAILS: [&str; 6] = ["u0", "u1", "u2", "u3", "boss", "a stranger"];

pub(super) fn globs() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["*", "get_*", "*_a", "drop_*", "kill_?", "list", "[gk]*"]), 0..3)
}

fn role() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["dba", "admin", "contractor", "super_admin", "read_only"])
}

fn role_rule() -> impl Strategy<Value = Value> {
    (any::<bool>(), prop::bool::weighted(0.2), prop::option::of(globs()), globs()).prop_map(
        |(all, none, only, deny)| {
            let mut rule = json!({ "allow_all": all, "deny_all": none, "deny": deny });
            if let Some(only) = only {
                rule["allow_only"] = json!(only);
            }
            rule
        },
    )
}

pub(super) fn server(name: &'static str) -> impl Strategy<Value = Value> {
    let mode = prop::sample::select(vec!["allow_all", "allow_only", "allow_all_except"]);
    let rules = prop::collection::btree_map(role(), role_rule(), 0..4);
    (mode, globs(), globs(), rules, globs(), prop::bool::weighted(0.9)).prop_map(
        move |(mode, allow, exclude, rules, confirm, enabled)| {
            json!({
                "name": name, "url": "http://h", "enabled": enabled, "confirm": confirm, "role_restrictions": rules,
                "tool_policy": { "mode": mode, "allow": allow, "exclude": exclude },
            })
        },
    )
}

/// What a person's entry says of a server's prompts and resources.
fn beside() -> impl Strategy<Value = Value> {
    let only = || prop::option::of(globs());
    (only(), globs(), only(), globs()).prop_map(|(prompts, denied_prompts, resources, denied_resources)| {
        let mut said = json!({ "denied_prompts": denied_prompts, "denied_resources": denied_resources });
        for (key, only) in [("prompts", prompts), ("resources", resources)] {
            if let Some(only) = only {
                said[key] = json!(only);
            }
        }
        said
    })
}

fn allowed_mcps() -> impl Strategy<Value = Value> {
    let mode = prop::sample::select(vec!["inherit", "custom", "all", "none"]);
    let entry = (mode, globs(), globs(), beside()).prop_map(|(mode, tools, deny, mut entry)| {
        (entry["mode"], entry["deny"]) = (json!(mode), json!(deny));
        if mode == "custom" {
            entry["tools"] = json!(tools);
        }
        entry
    });
    prop_oneof![
        Just(json!("*")),
        Just(json!(["one"])),
        Just(json!({ "one": "*" })),
        entry.prop_map(|entry| json!({ "one": entry, "two": { "mode": "inherit" } })),
    ]
}

/// What a file says of a role: permissions that it gives or takes, and tools that it denies.
fn declared_role() -> impl Strategy<Value = Value> {
    let said = || prop::option::weighted(0.5, any::<bool>());
    (said(), said(), said(), globs()).prop_map(|(bypass, danger, databases, denied)| {
        let mut permissions = json!({});
        let keys = ["can_bypass_tool_restrictions", "can_execute_dangerous_tools", "can_access_all_databases"];
        for (key, said) in keys.into_iter().zip([bypass, danger, databases]) {
            if let Some(said) = said {
                permissions[key] = json!(said);
            }
        }
        json!({ "permissions": permissions, "denied_tools": denied })
    })
}

pub(super) fn users() -> impl Strategy<Value = Value> {
    let rule = (globs(), any::<bool>()).prop_map(
        |(allowed, required)| json!({ "tool": "get_*", "argument": "mode", "allowed": allowed, "required": required }),
    );
    let user = (role(), prop::option::of(allowed_mcps()), prop::option::of(globs()), prop::option::of(rule));
    let roles = prop::collection::btree_map(role(), declared_role(), 0..4);
    (prop::collection::vec(user, 4), roles).prop_map(|(users, roles)| {
        let people: Vec<Value> = users
            .into_iter()
            .enumerate()
            .map(|(at, (role, mcps, databases, rule))| {
                let mut user = json!({ "email": format!("u{at}"), "role": role });
                if let Some(mcps) = mcps {
                    user["allowed_mcps"] = mcps;
                }
                if let Some(databases) = databases {
                    user["allowed_databases"] = json!(databases);
                }
                if let Some(rule) = rule {
                    user["argument_rules"] = json!([rule]);
                }
                user
            })
            .collect();
        let stranger = json!({ "role": "read_only", "allowed_mcps": ["one"] });
        json!({ "users": people, "super_admins": [{ "email": "boss" }], "default_user": stranger, "roles": roles })
    })
}

fn hits(globs: &Value, tool: &str) -> bool {
    let globs = globs.as_array().into_iter().flatten().filter_map(Value::as_str);
    globs.into_iter().any(|glob| Pattern::new(glob).unwrap().is_match(tool))
}

/// Whether something in the files denies the tool by name, for an ordinary person.
fn is_denied(server: &Value, user: &Value, tool: &str) -> bool {
    let rule = &server["role_restrictions"][user["role"].as_str().unwrap_or_default()];
    let own = &user["allowed_mcps"][server["name"].as_str().unwrap_or_default()];
    hits(&server["tool_policy"]["exclude"], tool)
        || hits(&rule["deny"], tool)
        || rule["deny_all"] == true
        || hits(&own["deny"], tool)
}

/// What the files say of a permission of the grant's role; nothing is said of a super admin's.
fn said(users: &Value, grant: &Grant, permission: &str) -> Option<bool> {
    let said = &users["roles"][&*grant.role.name]["permissions"][permission];
    said.as_bool().filter(|_| !grant.role.is_super_admin)
}

/// Arguments of a tool that the person's argument rules permit; `None` where they permit none.
fn permitted(user: &Value, tool: &str) -> Option<Value> {
    let fitting = |globs: &Value| TOOLS.into_iter().find(|value| hits(globs, value));
    let mut arguments = json!({});
    if let Some(database) = fitting(&user["allowed_databases"]) {
        arguments["database"] = json!(database);
    }
    let rules = user["argument_rules"].as_array().into_iter().flatten();
    for rule in rules.filter(|rule| Pattern::new(rule["tool"].as_str().unwrap()).unwrap().is_match(tool)) {
        match fitting(&rule["allowed"]) {
            Some(value) => arguments["mode"] = json!(value),
            None if rule["required"] == true => return None,
            None => {}
        }
    }
    Some(arguments)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_tool_that_may_destroy_is_never_allowed_without_a_word_nor_to_whom_danger_is_denied(
        one in server("one"),
        two in server("two"),
        users in users(),
    ) {
        let mcps = json!({ "mcps": [one, two] });
        let policy = YamlPolicy::from_config(&config(&mcps.to_string(), &users.to_string())).unwrap();
        for email in EMAILS {
            let grant = grant(&policy, email);
            let no_danger = said(&users, &grant, "can_execute_dangerous_tools") == Some(false);
            for server in mcps["mcps"].as_array().unwrap() {
                for name in TOOLS {
                    let of = |is_destructive| ToolRef { server: server["name"].as_str().unwrap(), name, is_destructive };
                    let (mild, grave) = (grant.decide_tool(of(false), None), grant.decide_tool(of(true), None));
                    let is_marked = hits(&server["confirm"], name);
                    prop_assert!(mild.is_allowed() || !grave.is_allowed(), "{email} {name}");
                    prop_assert_eq!(grave.confirm, grave.is_allowed(), "{} {}", email, name);
                    prop_assert_eq!(mild.confirm, mild.is_allowed() && is_marked, "{} {}", email, name);
                    if no_danger {
                        prop_assert!(!grave.is_allowed(), "{email} {name}");
                        prop_assert!(!(is_marked && mild.is_allowed()), "{email} {name}");
                    } else {
                        prop_assert_eq!(grave.is_allowed(), mild.is_allowed(), "{} {}", email, name);
                    }
                    prop_assert_eq!(&grant.decide(of(false).server, name, None), &mild);
                }
            }
        }
    }

    #[test]
    fn what_a_role_may_beside_using_tools_opens_nothing_that_is_denied(
        one in server("one"),
        users in users(),
    ) {
        let mcps = json!({ "mcps": [one] });
        let policy = YamlPolicy::from_config(&config(&mcps.to_string(), &users.to_string())).unwrap();
        let mut bare = users.clone();
        for role in bare["roles"].as_object_mut().unwrap().values_mut() {
            role["permissions"]["can_bypass_tool_restrictions"] = json!(false);
        }
        let without = YamlPolicy::from_config(&config(&mcps.to_string(), &bare.to_string())).unwrap();
        for email in EMAILS {
            let (grant, without) = (grant(&policy, email), grant(&without, email));
            let user = users["users"].as_array().unwrap().iter().find(|user| user["email"] == email);
            let no_database = said(&users, &grant, "can_access_all_databases") == Some(false)
                && user.is_none_or(|user| user["allowed_databases"].is_null());
            for tool in TOOLS {
                let may = grant.decide("one", tool, None).is_allowed();
                prop_assert!(may || !without.decide("one", tool, None).is_allowed(), "{email} {tool}: to bypass closes nothing");
                if !grant.role.is_super_admin && hits(&users["roles"][&*grant.role.name]["denied_tools"], tool) {
                    prop_assert!(!may, "{email} {tool} is denied to the role");
                }
                if no_database {
                    for named in [json!("list"), json!(["list"]), json!([])] {
                        let called = grant.decide("one", tool, Some(&json!({ "database": named })));
                        prop_assert!(!called.is_allowed(), "{email} {tool}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_deny_always_wins_and_what_is_listed_is_what_may_be_called(
        one in server("one"),
        two in server("two"),
        blocked in globs(),
        users in users(),
    ) {
        let mcps = json!({ "global": { "blocked_tools": blocked }, "mcps": [one, two] });
        let policy = YamlPolicy::from_config(&config(&mcps.to_string(), &users.to_string())).unwrap();
        for email in EMAILS {
            let grant = grant(&policy, email);
            let user = users["users"].as_array().unwrap().iter().find(|user| user["email"] == email);
            for server in mcps["mcps"].as_array().unwrap() {
                let name = server["name"].as_str().unwrap();
                for tool in TOOLS {
                    let listed = grant.decide(name, tool, None);
                    for database in ["list", "other"] {
                        let called = grant.decide(name, tool, Some(&json!({ "database": database })));
                        prop_assert!(listed.is_allowed() || !called.is_allowed(), "{email} {name} {tool}");
                    }
                    if let Some(arguments) = permitted(user.unwrap_or(&Value::Null), tool) {
                        let called = grant.decide(name, tool, Some(&arguments));
                        prop_assert_eq!(listed.effect, called.effect, "{} {} {} {}", email, name, tool, arguments);
                    }
                    prop_assert!(!listed.confirm || (listed.is_allowed() && hits(&server["confirm"], tool)));
                    if !grant.role.is_super_admin && hits(&users["roles"][&*grant.role.name]["denied_tools"], tool) {
                        prop_assert!(!listed.is_allowed(), "{email} {name} {tool} is denied to the role");
                    }
                    if !grant.role.is_super_admin && hits(&mcps["global"]["blocked_tools"], tool) {
                        prop_assert!(!listed.is_allowed(), "{email} {name} {tool} is blocked");
                    }
                    if server["enabled"] == false || hits(&server["tool_policy"]["exclude"], tool) {
                        prop_assert!(!listed.is_allowed(), "{email} {name} {tool} is off");
                    }
                    if let Some(user) = user.filter(|user| user["role"] != "super_admin") {
                        prop_assert!(!(is_denied(server, user, tool) && listed.is_allowed()), "{email} {name} {tool}");
                    }
                }
            }
            prop_assert!(!grant.decide("nowhere", "get_a", None).is_allowed() || email == "boss");
        }
    }
}
