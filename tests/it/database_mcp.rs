//! The example server `database-mcp`, against real databases.

use std::collections::BTreeMap;

use database_mcp::{Config, DatabaseConfig, DatabaseServer, Kind};
use rmcp::{
    RoleClient, ServiceExt as _,
    model::{CallToolRequestParams, Tool},
    service::RunningService,
};
use serde_json::{Value, json};

mod demo;
mod mysql;
mod postgres;
mod program;
mod refusals;
mod sqlite;
mod tools;

/// A client of it, in this process.
pub(crate) struct Session {
    client: RunningService<RoleClient, ()>,
    tools: BTreeMap<String, Tool>,
}

/// What a tool answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) document: Value,
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

impl Session {
    pub(crate) async fn of(config: Config) -> Self {
        Self::with(DatabaseServer::new(config).unwrap()).await
    }

    pub(crate) async fn with(server: DatabaseServer) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move { server.serve(theirs).await.unwrap().waiting().await });
        let client = ().serve(ours).await.unwrap();
        let tools = client.list_all_tools().await.unwrap();
        Self { client, tools: tools.into_iter().map(|tool| (tool.name.to_string(), tool)).collect() }
    }

    /// Calls a tool. Arguments and document are held to the schemas that the tool was listed with.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Reply {
        let listed = &self.tools[tool];
        let mut params = CallToolRequestParams::new(tool.to_owned());
        params.arguments = arguments.as_object().cloned();
        let result = self.client.call_tool(params).await.unwrap();
        let text = result.content[0].as_text().unwrap().text.clone();
        let is_error = result.is_error == Some(true);
        let document = result.structured_content.unwrap_or_default();
        if !is_error {
            let schema = |schema: &rmcp::model::JsonObject| jsonschema::validator_for(&json!(schema)).unwrap();
            let arguments = schema(&listed.input_schema).validate(&arguments).map_err(|error| error.to_string());
            assert_eq!(arguments, Ok(()), "{tool}");
            let output = listed.output_schema.as_ref().unwrap();
            let fits = schema(output).validate(&document).map_err(|error| error.to_string());
            assert_eq!(fits, Ok(()), "{tool}: {document}");
        }
        Reply { document, text, is_error }
    }

    /// The same, of a call that succeeds.
    pub(crate) async fn answer(&self, tool: &str, arguments: Value) -> Reply {
        let reply = self.call(tool, arguments).await;
        assert!(!reply.is_error, "{tool}: {}", reply.text);
        reply
    }

    /// The sentence of a call that fails.
    pub(crate) async fn refusal(&self, tool: &str, arguments: Value) -> String {
        let reply = self.call(tool, arguments).await;
        assert!(reply.is_error, "{tool}: {}", reply.text);
        reply.text
    }
}

impl Reply {
    /// The finding of a code.
    pub(crate) fn finding(&self, code: &str) -> &Value {
        let findings = self.document["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["code"] == code);
        found.unwrap_or_else(|| panic!("no {code} in {}", self.text))
    }

    pub(crate) fn codes(&self) -> Vec<&str> {
        let findings = self.document["findings"].as_array().unwrap();
        findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
    }

    /// The value of a metric.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let metrics = self.document["metrics"].as_array().unwrap();
        let metric = metrics.iter().find(|metric| metric["name"] == name);
        metric.unwrap_or_else(|| panic!("no {name} in {}", self.text))["value"].as_f64().unwrap()
    }

    pub(crate) fn measure(&self, name: &str) -> (f64, f64) {
        let measures = self.document["measures"].as_array().unwrap();
        let measure = measures.iter().find(|measure| measure["name"] == name);
        let measure = measure.unwrap_or_else(|| panic!("no {name} in {}", self.text));
        (measure["original"].as_f64().unwrap(), measure["optimized"].as_f64().unwrap())
    }
}

/// A configuration of one database.
pub(crate) fn only(name: &str, kind: Kind, url: impl Into<String>) -> Config {
    Config::of([DatabaseConfig::new(name, kind, url)])
}
