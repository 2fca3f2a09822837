//! The database behind the tools.

use std::time::Duration;

use super::{
    error::AnalyticsError,
    keep::{self, Mark},
    period::Period,
    sums::{Statement, Wanted},
};
use crate::{
    db::{Db, DbError, Dialect, Row, Val},
    people::Tables,
};

/// How often sums are read again that were brought up to date meanwhile, and how long is waited before the second time;
/// before each other one a bit longer.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);

/// Where the history is.
#[derive(Debug, Clone)]
pub(super) enum Data {
    /// In a database whose tables are there.
    Open(Db),
    /// In one that is opened when it is needed.
    Tables(Tables),
}

impl Data {
    pub(super) async fn db(&self) -> Result<&Db, DbError> {
        match self {
            Self::Open(db) => Ok(db),
            Self::Tables(tables) => tables.db().await,
        }
    }
}

/// What one call of a tool reads: the rows of one tenant.
#[derive(Debug)]
pub(super) struct View<'a> {
    db: &'a Db,
    pub(super) tenant: &'a str,
}

impl<'a> View<'a> {
    /// The history of now.
    pub(super) async fn open(data: &'a Data, tenant: &'a str) -> Result<Self, AnalyticsError> {
        let db = data.db().await?;
        keep::refresh(db, keep::RENEWED_WITHIN).await?;
        Ok(Self { db, tenant })
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.db.dialect()
    }

    /// Sums, of one state of the database.
    pub(super) async fn sums(&self, mut wanted: Wanted<'_>) -> Result<Vec<Row>, DbError> {
        for tries in 1..=TRIES {
            let mark = Mark::of(self.db, wanted.rollup.source).await?;
            wanted.mark = mark.id;
            let Statement { sql, values } = wanted.statement(self.dialect());
            let rows = self.db.fetch_all(&sql, &values).await?;
            if Mark::of(self.db, wanted.rollup.source).await? == mark {
                return Ok(rows);
            }
            tokio::time::sleep(PAUSE * tries).await;
        }
        Err(DbError::Unavailable { message: "the sums change all the time".into() })
    }

    pub(super) async fn rows(&self, sql: &str, values: &[Val<'_>]) -> Result<Vec<Row>, DbError> {
        self.db.fetch_all(sql, values).await
    }

    /// Requests of a period that meet a condition, in an order, and what is shown of them.
    pub(super) async fn requests(&self, list: &RequestList<'_>) -> Result<Vec<Row>, DbError> {
        const COLUMNS: &str = "r.id, r.request_id, r.created_at, r.user_email, r.request_type, r.message_preview,
            r.mcp_target, r.tool_called, r.iterations, r.tools_used, r.mcps_accessed, r.duration_ms, r.cost_nano_usd,
            r.tokens_input, r.tokens_output, r.tokens_cached, r.model, r.status, r.warning, r.error_message,
            r.block_reason";
        let condition = list.condition;
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_logs r WHERE r.tenant = ? AND r.request_type <> 'admin' AND {condition}"
        );
        let mut statement = Statement::new(sql, self.tenant.into());
        statement.bounds("r.created_at", list.period.span.from.map(Val::from), list.period.span.to.map(Val::from));
        if let Some(user) = list.user {
            statement.and("r.user_email = ?", user.into());
        }
        for (condition, value) in &list.more {
            statement.and(condition, (*value).into());
        }
        statement.sql.push_str(&format!(" ORDER BY {} LIMIT {}", list.order, list.limit));
        self.rows(&statement.sql, &statement.values).await
    }

    /// The address of a user who is named by number or by address.
    pub(super) async fn user(&self, user: &UserId) -> Result<String, AnalyticsError> {
        const QUERY: &str = "SELECT email FROM users WHERE id = ? AND tenant = ?";
        let number = match user {
            UserId::Number(number) => *number,
            UserId::Text(text) => match text.trim().parse() {
                Ok(number) => number,
                Err(_) => return Ok(text.trim().to_lowercase()),
            },
        };
        let row = self.rows(QUERY, &[number.into(), self.tenant.into()]).await?.into_iter().next();
        let email = row.map(|row| row.text("email")).transpose()?;
        email.ok_or_else(|| AnalyticsError::argument("user_id", "there is no user of that number"))
    }
}

/// Which requests are listed.
#[derive(Debug)]
pub(super) struct RequestList<'a> {
    pub(super) period: &'a Period,
    pub(super) user: Option<&'a str>,
    pub(super) condition: &'a str,
    /// More conditions on numbers.
    pub(super) more: Vec<(&'a str, i64)>,
    pub(super) order: &'a str,
    pub(super) limit: u64,
}

/// A user, as a caller names one.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum UserId {
    /// As in the table `users`.
    Number(i64),
    /// An e-mail address.
    Text(String),
}
