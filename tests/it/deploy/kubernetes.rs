//! The manifests: what they name is there, and pods may do what the image needs and no more.

use std::collections::{BTreeMap, BTreeSet};

use omni_tests::door::Door;
use serde_json::{Value, json};

use super::{
    IMAGE, KEY, deploy, document, documents, files, is_variable, keys, omni, recipe::Recipe, texts, variables_of_omni,
};

/// The resources, as the list of them has it.
fn resources() -> Vec<Value> {
    let list = document(&deploy("kubernetes/kustomization.yaml"));
    texts(&list["resources"]).iter().map(|name| document(&deploy("kubernetes").join(name))).collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    resources().into_iter().filter(|resource| resource["kind"] == kind).collect()
}

/// The pods of all sets.
pub(super) fn pods() -> Vec<Value> {
    of_kind("StatefulSet").iter().map(|set| set["spec"]["template"]["spec"].clone()).collect()
}

/// The labels that pods of each set have.
fn labels() -> Vec<Value> {
    of_kind("StatefulSet").iter().map(|set| set["spec"]["template"]["metadata"]["labels"].clone()).collect()
}

fn name(resource: &Value) -> &str {
    resource["metadata"]["name"].as_str().unwrap()
}

/// The names that a list of mappings has.
fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_list_has_every_manifest_and_no_template() {
    let list = document(&deploy("kubernetes/kustomization.yaml"));
    let mut listed = texts(&list["resources"]);
    listed.sort();
    let there =
        files(&deploy("kubernetes")).into_iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let own: Vec<String> =
        there.filter(|name| *name != "kustomization.yaml" && *name != "secret.example.yaml").collect();
    assert_eq!(listed, own);
    assert_eq!((&list["namespace"], &list["images"][0]["name"]), (&json!("omni"), &json!(IMAGE)));
    let kinds: BTreeMap<String, usize> = resources().iter().fold(BTreeMap::new(), |mut kinds, resource| {
        *kinds.entry(resource["kind"].as_str().unwrap().to_owned()).or_default() += 1;
        kinds
    });
    let expected = [
        ("ConfigMap", 1),
        ("HorizontalPodAutoscaler", 1),
        ("NetworkPolicy", 2),
        ("PodDisruptionBudget", 1),
        ("Service", 3),
        ("StatefulSet", 2),
    ];
    assert_eq!(kinds, BTreeMap::from(expected.map(|(kind, count)| (kind.to_owned(), count))));
}

#[test]
fn pods_are_confined_and_write_into_their_volume_alone() {
    let recipe = Recipe::load();
    let (user, group) = recipe.user();
    for pod in pods() {
        assert_eq!(pod["automountServiceAccountToken"], false);
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true);
        let numbers = ["runAsUser", "runAsGroup", "fsGroup"].map(|key| context[key].as_u64().unwrap());
        assert_eq!(numbers, [u64::from(user), u64::from(group), u64::from(group)]);
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        let containers = pod["containers"].as_array().unwrap();
        assert_eq!((containers.len(), &containers[0]["image"]), (1, &json!(IMAGE)));
        let own = &containers[0]["securityContext"];
        assert_eq!(
            own,
            &json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } })
        );
        let mounts = containers[0]["volumeMounts"].as_array().unwrap();
        let at = |name: &str| mounts.iter().find(|mount| mount["name"] == name).unwrap();
        assert_eq!(at("data")["mountPath"], recipe.volume());
        assert_eq!(
            (&at("config")["mountPath"], &at("config")["readOnly"]),
            (&json!(recipe.config_dir()), &json!(true))
        );
        assert!(containers[0]["resources"]["limits"]["memory"].is_string());
        // preStop takes 5 s, what runs has 30 s to finish, the ledger some 11 s, and the pod longer.
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 46);
    }
}

#[test]
fn what_manifests_name_is_there() {
    let (labels, maps, services) = (labels(), of_kind("ConfigMap"), of_kind("Service"));
    let secrets = documents(&deploy("kubernetes/secret.example.yaml"));
    for set in of_kind("StatefulSet") {
        let (spec, pod) = (&set["spec"], &set["spec"]["template"]["spec"]);
        let own = &spec["template"]["metadata"]["labels"];
        assert_eq!(&spec["selector"]["matchLabels"], own, "{}", name(&set));
        let mut volumes = names(&pod["volumes"]);
        volumes.extend(spec["volumeClaimTemplates"].as_array().unwrap().iter().map(|claim| name(claim).to_owned()));
        assert!(volumes.contains("data"));
        assert_eq!(names(&pod["containers"][0]["volumeMounts"]), volumes, "{}", name(&set));
        let config = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "config").unwrap();
        assert_eq!(config["configMap"]["name"], name(&maps[0]));
        for from in pod["containers"][0]["envFrom"].as_array().unwrap() {
            let wanted = &from["secretRef"]["name"];
            assert!(secrets.iter().any(|secret| *wanted == name(secret)), "{wanted}");
        }
    }
    let selectors = services.iter().map(|service| &service["spec"]["selector"]);
    let (budgets, policies) = (of_kind("PodDisruptionBudget"), of_kind("NetworkPolicy"));
    let others = budgets.iter().map(|budget| &budget["spec"]["selector"]["matchLabels"]);
    let others = others.chain(policies.iter().map(|policy| &policy["spec"]["podSelector"]["matchLabels"]));
    for selector in selectors.chain(others) {
        assert!(labels.contains(selector), "{selector}");
    }
    let scaled = &of_kind("HorizontalPodAutoscaler")[0]["spec"]["scaleTargetRef"];
    let sets = of_kind("StatefulSet");
    let target = sets
        .iter()
        .find(|set| *scaled == json!({ "apiVersion": set["apiVersion"], "kind": set["kind"], "name": name(set) }));
    let target = &target.unwrap()["spec"];
    assert!(target["replicas"].is_null(), "the autoscaler says how many there are");
    assert!(services.iter().any(|service| target["serviceName"] == name(service)));
    let ports = &target["template"]["spec"]["containers"][0]["ports"];
    assert_eq!(ports, &json!([{ "name": "http", "containerPort": Recipe::load().port() }]));
    for service in &services {
        assert_eq!(
            (&service["spec"]["ports"][0]["targetPort"], &service["spec"]["ports"][0]["port"]),
            (&json!("http"), &ports[0]["containerPort"])
        );
    }
    let slack = sets.iter().find(|set| name(set) == "omni-slack").unwrap();
    assert_eq!(slack["spec"]["replicas"], 1, "one is enough");
    for set in &sets {
        let own: Vec<&Value> = services.iter().filter(|service| set["spec"]["serviceName"] == name(service)).collect();
        assert_eq!(own.len(), 1, "{}", name(set));
        assert_eq!(own[0]["spec"]["selector"], set["spec"]["selector"]["matchLabels"], "{}", name(set));
        let is_bot = texts(&set["spec"]["template"]["spec"]["containers"][0]["args"]).contains(&"--slack".to_owned());
        assert_eq!(is_bot, name(set) == "omni-slack", "one takes what Slack sends");
    }
    let of_bot =
        services.iter().filter(|service| service["spec"]["selector"] == slack["spec"]["selector"]["matchLabels"]);
    assert!(of_bot.into_iter().all(|service| service["spec"]["clusterIP"] == "None"), "nobody is sent to the bot");
}

#[test]
fn policies_name_what_comes_in_and_what_goes_out() {
    for policy in of_kind("NetworkPolicy") {
        let spec = &policy["spec"];
        assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]), "{}", name(&policy));
        let incoming = spec["ingress"].as_array().unwrap();
        for rule in incoming {
            assert!(rule["from"].is_array(), "{rule}");
            assert_eq!(rule["ports"], json!([{ "protocol": "TCP", "port": Recipe::load().port() }]));
        }
        assert_eq!(incoming.len(), 1, "{}", name(&policy));
        let pods = &incoming[0]["from"][0]["podSelector"]["matchLabels"];
        let scraper = json!({ "app.kubernetes.io/name": "prometheus" });
        assert!(
            incoming[0]["from"].as_array().unwrap().len() == 1
                && incoming[0]["from"][0]["namespaceSelector"].is_object()
        );
        assert_eq!(pods, if name(&policy) == IMAGE { &Value::Null } else { &scraper }, "{}", name(&policy));
        let outgoing = spec["egress"].as_array().unwrap();
        assert!(outgoing.iter().all(|rule| rule["to"].is_array()), "{outgoing:?}");
        let internet = outgoing.iter().find_map(|rule| rule["to"][0]["ipBlock"].as_object()).unwrap();
        let kept = texts(&internet["except"]);
        assert!(kept.contains(&"169.254.0.0/16".to_owned()) && kept.contains(&"10.0.0.0/8".to_owned()), "{kept:?}");
    }
}

#[tokio::test]
async fn probes_ask_what_a_service_answers_without_a_credential() {
    let door = Door::new().await;
    let mut asked = BTreeSet::new();
    for pod in pods() {
        let container = &pod["containers"][0];
        let port = Recipe::load().port();
        assert_eq!(container["ports"], json!([{ "name": "http", "containerPort": port }]), "{container}");
        assert!(texts(&container["args"]).ends_with(&["--bind".into(), format!("0.0.0.0:{port}")]), "{container}");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let path = container[probe]["httpGet"]["path"].as_str().unwrap();
            assert!(names(&container["ports"]).contains(container[probe]["httpGet"]["port"].as_str().unwrap()));
            door.get(path).await.is(200);
            asked.insert((probe, path.to_owned()));
        }
    }
    assert_eq!(asked.len(), 3, "{asked:?}");
    // A database that is away restarts nobody: what ends the process asks for less than what lets requests in.
    door.omni.shutdown().await;
    for (probe, path) in asked {
        let status = if probe == "readinessProbe" { 503 } else { 200 };
        assert_eq!(door.get(&path).await.status, status, "{probe}");
    }
}

#[test]
fn the_files_of_the_config_map_are_right_with_what_the_secrets_set() {
    let secrets = documents(&deploy("kubernetes/secret.example.yaml"));
    let set: BTreeMap<String, String> = secrets
        .iter()
        .flat_map(|secret| secret["stringData"].as_object().unwrap().clone())
        .map(|(name, value)| (name, value.as_str().unwrap().to_owned()))
        .collect();
    let known = variables_of_omni();
    for name in set.keys() {
        assert!(is_variable(name) && known.contains(name), "{name}");
    }
    let map = &of_kind("ConfigMap")[0]["data"];
    let expected = ["mcps.yaml", "settings.yaml", "slack.yaml", "users.yaml"].map(str::to_owned);
    assert_eq!(keys(map), BTreeSet::from(expected));
    let home =
        map.as_object().unwrap().iter().fold(omni(), |home, (name, text)| home.with_file(name, text.as_str().unwrap()));
    let fill = |value: &String| if value.is_empty() { KEY.to_owned() } else { value.clone() };
    let env: Vec<(&str, String)> = set.iter().map(|(name, value)| (name.as_str(), fill(value))).collect();
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    home.run_with(&env, &["config", "check", "--strict"]).exits(0);
}
