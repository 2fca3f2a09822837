//! What Grafana shows and Prometheus warns of is what a running service counts.

use std::collections::{BTreeMap, BTreeSet};

use omni_core::{
    cost::{Price, Rates},
    identity::Scope,
    llm::{
        ChatRequest, ModelInfo,
        scripted::{Scripted, call_turn, text_turn},
    },
};
use omni_tests::{door::Door, server::FakeServer};
use serde_json::{Value, json};

use super::{compose, deploy, document, files, read, texts};

/// Labels that Prometheus itself adds.
const ADDED: [&str; 2] = ["instance", "job"];

/// A question in a language of Prometheus: what is asked for, and where it stands.
struct Query {
    place: String,
    text: String,
}

fn queries() -> Vec<Query> {
    let mut all = Vec::new();
    let rules = document(&deploy("prometheus/omni.rules.yml"));
    for group in rules["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let (place, text) = (rule["alert"].as_str().unwrap().to_owned(), rule["expr"].as_str().unwrap().to_owned());
            assert!(rule["labels"]["severity"].is_string() && rule["annotations"]["summary"].is_string(), "{place}");
            all.push(Query { place, text });
        }
    }
    for panel in panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let (place, text) =
                (panel["title"].as_str().unwrap().to_owned(), target["expr"].as_str().unwrap().to_owned());
            all.push(Query { place, text });
        }
    }
    assert!(all.len() > 40, "{} queries were found", all.len());
    all
}

fn dashboard() -> Value {
    serde_json::from_str(&read(&deploy("grafana/dashboards/omni.json"))).unwrap()
}

fn panels() -> Vec<Value> {
    dashboard()["panels"].as_array().unwrap().clone()
}

/// The names of metrics in a query, each with the labels that are asked for.
fn asked(query: &str) -> Vec<(String, Vec<String>)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(at) = rest.find("omni_") {
        let starts = !rest[..at].ends_with(is_part);
        let end = rest[at..].find(|c: char| !is_part(c)).map_or(rest.len(), |end| at + end);
        let (name, after) = (&rest[at..end], &rest[end..]);
        if starts {
            let selector = after.strip_prefix('{').and_then(|inner| inner.split('}').next()).unwrap_or_default();
            let labels = selector.split(',').filter_map(|pair| pair.split(['=', '!']).next());
            let labels = labels.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty());
            found.push((name.to_owned(), labels.collect()));
        }
        rest = after;
    }
    found
}

/// The labels by which a query groups.
fn grouped(query: &str) -> Vec<String> {
    let lists = query.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    lists.flat_map(|list| list.split(',')).map(|label| label.trim().to_owned()).collect()
}

/// The names of all series of a scrape, each with the labels that it has.
fn series(scrape: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for line in scrape.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, labels) = line.split_once('{').unwrap_or_else(|| (line.split(' ').next().unwrap(), ""));
        // What stands before `="` is a label; what stands after the last one is a value.
        let parts: Vec<&str> = labels.split("=\"").collect();
        let labels = parts[..parts.len() - 1].iter().filter_map(|part| part.rsplit([',', '"']).next());
        found.entry(name.to_owned()).or_default().extend(labels.map(str::to_owned));
    }
    found
}

/// What a service counts that was asked, called a tool, refused somebody, and paid for it.
async fn counted() -> BTreeMap<String, BTreeSet<String>> {
    let mut model = ModelInfo::new("scripted", "model-of-the-dashboard");
    model.price = Some(Price::flat(Rates::new(1_000_000, 2_000_000, 0, 0, 0)));
    let llm = Scripted::from_fn(|request: &ChatRequest| match request.messages.len() {
        1 => Ok(call_turn(1, &[("shown__echo", json!({ "message": "hi" }))])),
        _ => Ok(text_turn("Paris.")),
    });
    let llm = llm.with_model(model);
    let door = Door::with(|_| {}, |builder| builder.llm(llm).server("shown", FakeServer::echo())).await;
    let key = door.key("ada@company.com", &[Scope::Ask]).await;
    door.post_by(&key, "/chat/ask", &json!({ "message": "Call it" })).await.is(200);
    let admin = door.key("ada@company.com", &[Scope::Admin, Scope::Audit]).await;
    let mut found = series(&door.get_by(&admin, "/metrics").await.is(200).text);
    // The request that shows the metrics is counted once it is answered.
    found.extend(series(&door.get_by(&admin, "/metrics").await.is(200).text));
    found
}

#[test]
fn queries_are_read_as_prometheus_reads_them() {
    let query = "sum by (le, model) (rate(omni_a_bucket{kind!=\"x\", le=\"1\"}[5m])) / my_omni_b + omni_c";
    let expected = vec![
        ("omni_a_bucket".to_owned(), vec!["kind".to_owned(), "le".to_owned()]),
        ("omni_c".to_owned(), Vec::<String>::new()),
    ];
    assert_eq!(asked(query), expected);
    assert_eq!(grouped(query), ["le", "model"]);
    let read = series("# HELP a b\na{x=\"1\",y=\"two, three\"} 4\nb 5\n");
    assert_eq!(read["a"].iter().collect::<Vec<_>>(), ["x", "y"]);
    assert!(read["b"].is_empty());
}

#[tokio::test]
async fn every_metric_and_label_of_the_dashboard_and_the_alerts_is_one_that_a_service_has() {
    let counted = counted().await;
    let mut used = BTreeSet::new();
    for Query { place, text } in queries() {
        let names = asked(&text);
        assert!(!names.is_empty() || text.starts_with("up{"), "{place}: {text}");
        let mut labels: BTreeSet<&str> = BTreeSet::from(ADDED);
        for (name, selected) in &names {
            let own = counted.get(name).unwrap_or_else(|| panic!("{place}: {name} is not among {:?}", counted.keys()));
            labels.extend(own.iter().map(String::as_str));
            for label in selected {
                assert!(own.contains(label), "{place}: {name} has no label {label}: {own:?}");
            }
            used.insert(name.clone());
        }
        for label in grouped(&text) {
            assert!(labels.contains(label.as_str()), "{place}: nothing of {text} has a label {label}");
        }
    }
    // What the core counts is shown, all of it.
    let shown = |name: &str| used.iter().any(|used| used.starts_with(name));
    for name in counted.keys().filter(|name| name.starts_with("omni_")) {
        let name = ["_bucket", "_sum", "_count"].iter().fold(name.as_str(), |name, end| name.trim_end_matches(*end));
        assert!(shown(name), "{name} is shown nowhere");
    }
}

#[test]
fn panels_have_places_of_their_own_and_the_source_that_is_provisioned() {
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(places.insert((x, y)), "two panels are at {x}, {y}: {panel}");
            }
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"], json!({ "type": "prometheus", "uid": "${datasource}" }));
            assert!(panel["description"].is_string() && !panel["targets"].as_array().unwrap().is_empty(), "{panel}");
        }
    }
    let titles: Vec<String> = panels().iter().map(|panel| panel["title"].as_str().unwrap().to_owned()).collect();
    for title in [
        "Asks by outcome",
        "Cost by model",
        "Failed asks",
        "How long asks take",
        "Calls by server",
        "Servers",
        "Refusals",
        "Waiting for the ledger",
    ] {
        assert!(titles.iter().any(|own| own == title), "{title} in {titles:?}");
    }
    assert_eq!(dashboard()["templating"]["list"][0]["query"], "prometheus");
}

/// The value of a label that a query asks for, wherever it does.
fn selected<'a>(query: &'a str, label: &str) -> BTreeSet<&'a str> {
    query.split(&format!("{label}=\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn whatever_is_asked_has_an_alert_of_its_own_and_a_bot_that_nobody_started_alarms_nobody() {
    let scrape = document(&deploy("prometheus/prometheus.yml"));
    let jobs: Vec<&str> =
        scrape["scrape_configs"].as_array().unwrap().iter().map(|job| job["job_name"].as_str().unwrap()).collect();
    let away: BTreeMap<String, String> = queries()
        .into_iter()
        .filter(|query| query.text.contains("up{") && query.text.contains("== 0"))
        .map(|query| (query.place, query.text))
        .collect();
    assert_eq!(away.keys().collect::<Vec<_>>(), ["OmniDown", "OmniSlackDown"]);
    assert_eq!(away.values().flat_map(|text| selected(text, "job")).collect::<Vec<_>>(), jobs);
    assert!(away["OmniSlackDown"].ends_with("and max_over_time(up{job=\"omni-slack\"}[1d]) == 1"), "{away:?}");
    for Query { place, text } in queries() {
        assert!(selected(&text, "job").iter().all(|job| jobs.contains(job)), "{place}: {text}");
    }
}

#[test]
fn prometheus_and_grafana_find_each_other_and_the_service() {
    let services = document(&deploy("docker-compose.yml"))["services"].clone();
    let scrape = document(&deploy("prometheus/prometheus.yml"));
    let prometheus = &services["omni2-prometheus"];
    let own = compose::own(&json!({ "services": services.clone() }));
    let mut targets = BTreeMap::new();
    for job in scrape["scrape_configs"].as_array().unwrap() {
        assert_eq!(job["metrics_path"], "/metrics");
        let secret = job["authorization"]["credentials_file"].as_str().unwrap().strip_prefix("/run/secrets/").unwrap();
        assert!(texts(&prometheus["secrets"]).contains(&secret.to_owned()), "{prometheus}");
        let of_job = texts(&job["static_configs"][0]["targets"]);
        for target in &of_job {
            let (service, port) = target.split_once(':').unwrap();
            let (_, own) = own.iter().find(|(name, _)| name == service).unwrap();
            assert!(texts(&own["command"]).join(" ").ends_with(&format!(":{port}")), "{own}");
        }
        targets.insert(job["job_name"].as_str().unwrap(), of_job);
    }
    let expected = [("omni", vec!["omni2:8000".to_owned()]), ("omni-slack", vec!["omni2-slack-bot:8000".to_owned()])];
    assert_eq!(targets, BTreeMap::from(expected), "each that counts is asked, and the bot by itself");
    // Below the directory that is mounted at /etc/prometheus.
    assert!(texts(&prometheus["volumes"])[0].starts_with("./prometheus:/etc/prometheus"));
    for path in texts(&scrape["rule_files"]) {
        assert!(deploy("prometheus").join(path.strip_prefix("/etc/prometheus/").unwrap()).is_file(), "{path}");
    }
    let source = document(&deploy("grafana/provisioning/datasources/prometheus.yaml"));
    assert_eq!(source["datasources"][0]["url"], "http://omni2-prometheus:9090");
    let provider = document(&deploy("grafana/provisioning/dashboards/omni.yaml"));
    let place = provider["providers"][0]["options"]["path"].as_str().unwrap();
    let mounted = format!("./grafana/dashboards:{place}:ro");
    assert!(texts(&services["omni2-grafana"]["volumes"]).contains(&mounted), "{mounted}");
    assert!(!files(&deploy("grafana/dashboards")).is_empty());
}
