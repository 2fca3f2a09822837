//! Whether the ledger is in a database, and where that is, fit for people.

use url::Url;

use super::{AuditConfig, Config, Diagnostic, Severity, ledger};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::db::Dialect;

/// The kinds that are databases.
const SQLITE: &str = "sqlite";
const POSTGRES: &str = "postgres";

/// Where a database is, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabasePlace {
    /// Its name, or its file.
    pub database: Option<String>,
    /// The host, where there is one.
    pub host: Option<String>,
    /// The port there.
    pub port: Option<u16>,
}

impl Config {
    /// Whether nobody else writes to the database by another configuration, as far as is known: it is the file of the
    /// data directory.
    pub(crate) fn owns_its_database(&self) -> bool {
        !self.audit.has_database() || self.audit.url == ledger::own_database(&self.data_dir)
    }

    /// What is to be said of another one where there is no configuration.
    pub(super) fn report_database_of_others(&self) -> Option<Diagnostic> {
        let message = "there is no configuration, and the database may be that of others, who have one: a key of it \
                       opens nothing here; `omni init` makes a configuration, and --config or OMNI_CONFIG says where it is";
        let (key, message) = ("DATABASE_URL".into(), message.into());
        (!self.owns_its_database()).then_some(Diagnostic { severity: Severity::Warning, source: None, key, message })
    }
}

impl AuditConfig {
    /// Whether the ledger is in a database, and with it all that outlives a process beside it.
    #[must_use]
    pub fn has_database(&self) -> bool {
        matches!(self.kind.as_str(), SQLITE | POSTGRES)
    }

    /// Which database the ledger is in, whether or not this build has it; `None` where it is in none.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        match self.kind.as_str() {
            SQLITE => Some(Dialect::Sqlite),
            POSTGRES => Some(Dialect::Postgres),
            _ => None,
        }
    }

    /// Where the ledger's database is; `None` where it is in none.
    #[must_use]
    pub fn database(&self) -> Option<DatabasePlace> {
        match self.kind.as_str() {
            SQLITE => {
                let file = self.url.trim_start_matches("sqlite:").split('?').next().unwrap_or_default();
                Some(DatabasePlace { database: Some(file.trim_start_matches("//").into()), host: None, port: None })
            }
            POSTGRES => {
                let url = Url::parse(&self.url).ok()?;
                let name = Some(url.path().trim_start_matches('/').to_owned()).filter(|name| !name.is_empty());
                let host = url.host_str().filter(|host| !host.is_empty()).map(str::to_owned);
                let port = host.as_ref().map(|_| url.port().unwrap_or(5432));
                Some(DatabasePlace { database: name, host, port })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_database_has_no_credentials() {
        let place = |kind: &str, url: &str| AuditConfig::new(kind, url, "/data").database();
        let remote = place("postgres", "postgres://omni:s3cret@db.local:5433/omni?sslmode=require").unwrap();
        assert_eq!(
            (remote.database.as_deref(), remote.host.as_deref(), remote.port),
            (Some("omni"), Some("db.local"), Some(5433))
        );
        assert_eq!(place("postgres", "postgres://db/omni").unwrap().port, Some(5432));
        assert_eq!(
            place("sqlite", "sqlite:///data/omni.db?mode=rwc").unwrap().database.as_deref(),
            Some("/data/omni.db")
        );
        assert_eq!(place("memory", ""), None);
    }

    #[test]
    fn a_ledger_in_a_file_or_nowhere_is_in_no_database() {
        let has_database = |kind: &str| AuditConfig::new(kind, "", "/data").has_database();
        assert!(["sqlite", "postgres"].into_iter().all(has_database));
        assert!(!["jsonl", "memory", "oracle"].into_iter().any(has_database));
    }
}
