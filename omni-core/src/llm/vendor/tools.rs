//! Tools in a vendor's form: made once per tool set, so that their bytes are the same in every request.

use std::{collections::HashSet, sync::Arc};

use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use crate::catalog::{Dialect, OfferedTool, ToolDef, ToolSet, sanitise};

/// How many tools that are left out are named.
const MAX_LEFT_OUT: usize = 5;

/// How one vendor wants its tools.
pub(in crate::llm) struct Form {
    /// The key under which a [`ToolSet`] keeps the rendered tools.
    pub(in crate::llm) key: &'static str,
    /// The key under which it keeps the warnings.
    pub(in crate::llm) warnings_key: &'static str,
    /// Most tools in a request.
    pub(in crate::llm) max_tools: usize,
    /// Longest name.
    pub(in crate::llm) max_name: usize,
    /// Longest description, in characters.
    pub(in crate::llm) max_description: usize,
    /// One tool: name, description, repaired schema, whether it is the last.
    pub(in crate::llm) tool: fn(&str, &str, Value, bool) -> Value,
    /// Whose rules schemas must keep.
    pub(in crate::llm) dialect: Dialect,
}

/// A tool set in a vendor's form.
pub(in crate::llm) struct Rendered {
    /// A JSON array, never empty; `None` when no tool is left.
    pub(in crate::llm) tools: Option<Arc<RawValue>>,
    /// What was repaired or left out.
    pub(in crate::llm) warnings: Vec<String>,
}

/// A legal tool, ready to be written.
struct Legal<'a> {
    name: &'a str,
    description: String,
    schema: Value,
}

impl Form {
    /// The tools of `set`.
    pub(in crate::llm) fn render(&self, set: &ToolSet) -> Rendered {
        let mut made = None;
        let tools = set.rendered(self.key, |tools| {
            let (json, warnings) = self.make(tools);
            made = Some(warnings);
            json
        });
        let warnings = set.rendered(self.warnings_key, |tools| raw(&made.unwrap_or_else(|| self.make(tools).1)).into());
        Rendered {
            tools: Some(tools).filter(|tools| tools.get() != "[]"),
            warnings: serde_json::from_str(warnings.get()).unwrap_or_default(),
        }
    }

    fn make(&self, tools: &[OfferedTool]) -> (Arc<RawValue>, Vec<String>) {
        let mut warnings = Vec::new();
        let mut names = HashSet::new();
        let mut repaired = Vec::new();
        let mut legal = Vec::new();
        for tool in tools {
            match self.legal(tool, &mut names, &mut repaired) {
                Ok(tool) => legal.push(tool),
                Err(why) => warnings.push(format!("the tool {} is left out: {why}", tool.def.full_name())),
            }
        }
        if let Some(more) = warnings.len().checked_sub(MAX_LEFT_OUT).filter(|more| *more > 0) {
            warnings.truncate(MAX_LEFT_OUT);
            warnings.push(format!("{more} more tools are left out"));
        }
        if legal.len() > self.max_tools {
            let (max, dropped) = (self.max_tools, legal.len() - self.max_tools);
            warnings.push(format!("{dropped} tools are left out: the vendor takes {max} at most; allow fewer"));
            legal.truncate(max);
        }
        warnings.extend(repairs(&repaired));
        let last = legal.len().saturating_sub(1);
        let json = legal
            .into_iter()
            .enumerate()
            .map(|(i, tool)| (self.tool)(tool.name, &tool.description, tool.schema, i == last));
        (raw(&json.collect::<Vec<_>>()).into(), warnings)
    }

    fn legal<'a>(
        &self,
        tool: &'a OfferedTool,
        names: &mut HashSet<&'a str>,
        repaired: &mut Vec<String>,
    ) -> Result<Legal<'a>, String> {
        let name: &str = &tool.llm_name;
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > self.max_name || !name.chars().all(is_legal) {
            return Err(format!("the vendor does not take the name {name:?}"));
        }
        if !names.insert(name) {
            return Err(format!("another tool has the name {name:?}"));
        }
        let made = sanitise(&tool.def.input_schema, self.dialect).map_err(|error| error.message)?;
        if !made.notes.is_empty() {
            let name = tool.def.full_name();
            tracing::info!(
                tool = name,
                notes = made.notes.join("; "),
                "the schema of a tool was repaired for the vendor"
            );
            repaired.push(name);
        }
        Ok(Legal { name, description: self.description(&tool.def), schema: made.schema })
    }

    /// `[server] description`: the model sees whose tool it is.
    fn description(&self, def: &ToolDef) -> String {
        let text = [def.description.trim(), def.title.as_deref().unwrap_or_default().trim(), &def.name];
        let text = text.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        format!("[{}] {text}", def.server).chars().take(self.max_description).collect()
    }
}

/// One warning for all repairs: they change nothing that can be called.
fn repairs(tools: &[String]) -> Option<String> {
    const SHOWN: usize = 5;
    let shown = tools.get(..SHOWN).unwrap_or(tools).join(", ");
    let more = if tools.len() > SHOWN { ", …" } else { "" };
    let n = tools.len();
    (n > 0).then(|| format!("schemas that the vendor would refuse were repaired ({n}): {shown}{more}"))
}

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_default()
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Form").field("key", &self.key).finish_non_exhaustive()
    }
}
