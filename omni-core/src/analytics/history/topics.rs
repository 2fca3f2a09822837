//! Who asks, and what.

/// One of the people.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Person {
    /// The address.
    pub email: &'static str,
    /// What they are called.
    pub name: &'static str,
    /// Their role, which nobody else has.
    pub role: &'static str,
    /// How much they ask, beside the others.
    pub(super) busy: u64,
}

/// All of them.
pub const PEOPLE: [Person; 8] = [
    person("owner@company.com", "Olivia Owner", "admin", 12),
    person("dba@company.com", "Dana Bell", "dba", 26),
    person("senior.dev@company.com", "Sam Nilsson", "senior_dev", 18),
    person("power.user@company.com", "Pia Usher", "power_user", 14),
    person("junior.dba@company.com", "Jun Park", "junior_dba", 10),
    person("qa@company.com", "Quinn Adler", "qa_tester", 9),
    person("viewer@company.com", "Vera Lund", "read_only", 6),
    person("contractor@company.com", "Cory Tran", "contractor", 5),
];

const fn person(email: &'static str, name: &'static str, role: &'static str, busy: u64) -> Person {
    Person { email, name, role, busy }
}

impl Person {
    pub(super) fn is_admin(&self) -> bool {
        self.role == "admin"
    }

    pub(super) fn asks(&self, topic: &Topic) -> bool {
        self.is_admin() || topic.server != ANALYTICS
    }
}

/// A question with the tool that answers it.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) question: &'static str,
    pub(super) server: &'static str,
    pub(super) tool: &'static str,
    /// What a call of it takes mostly.
    pub(super) typical_ms: u64,
    pub(super) answer: &'static str,
    /// What it says when it fails.
    pub(super) fault: &'static str,
}

const ANALYTICS: &str = "analytics_mcp";
const DATABASE: &str = "database_mcp";
const GITHUB: &str = "github_mcp";
const NO_DATABASE: &str = "the database cannot be reached: connection refused";
const NO_GITHUB: &str = "GitHub answered 502 Bad Gateway";

const fn topic(question: &'static str, server: &'static str, tool: &'static str, typical_ms: u64) -> Topic {
    let (answer, fault) = match server.as_bytes()[0] {
        b'd' => ("This is what the database says.", NO_DATABASE),
        b'g' => ("This is what is on GitHub.", NO_GITHUB),
        _ => ("This is what the history says.", "the history cannot be read at the moment"),
    };
    Topic { question, server, tool, typical_ms, answer, fault }
}

pub(super) const TOPICS: &[Topic] = &[
    topic("Show slow queries on {db}", DATABASE, "get_top_queries", 700),
    topic("What's the health of {db}?", DATABASE, "get_database_health", 350),
    topic("Show database health for {db}", DATABASE, "get_database_health", 350),
    topic("Which databases do we have?", DATABASE, "list_available_databases", 120),
    topic("How did {db} do over the last week?", DATABASE, "get_performance_trends", 1_500),
    topic("Why is the settlement query on {db} so slow?", DATABASE, "analyze_oracle_query", 2_600),
    topic("Is the rewritten statement on {db} any better?", DATABASE, "compare_oracle_query_plans", 3_800),
    topic("Explain the contract lookup on {db}", DATABASE, "analyze_mysql_query", 1_900),
    topic("Search for repositories about connection pools", GITHUB, "search_repositories", 600),
    topic("Show me the README from facebook/react", GITHUB, "get_file_contents", 450),
    topic("What is in Cargo.toml of tokio-rs/axum?", GITHUB, "get_file_contents", 450),
    topic("Show me cost summary for today", ANALYTICS, "get_cost_summary", 40),
    topic("Which users are most active?", ANALYTICS, "get_active_users", 50),
];
