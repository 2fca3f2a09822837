//! Where the ledger's database is, fit for people.

use url::Url;

use super::AuditConfig;

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

impl AuditConfig {
    /// Where the ledger's database is; `None` where it is in none.
    #[must_use]
    pub fn database(&self) -> Option<DatabasePlace> {
        match self.kind.as_str() {
            "sqlite" => {
                let file = self.url.trim_start_matches("sqlite:").split('?').next().unwrap_or_default();
                Some(DatabasePlace { database: Some(file.trim_start_matches("//").into()), host: None, port: None })
            }
            "postgres" => {
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
}
