//! Where a server is, fit for people.

use url::Url;

use super::{ServerConfig, secrets::torn, show::HIDDEN};

impl ServerConfig {
    /// Where the server is: its program's name, or its address without credentials and query; empty
    /// where it is neither.
    #[must_use]
    pub fn place(&self) -> String {
        if let Some(command) = &self.command {
            return command.clone();
        }
        let Some(url) = self.filled_url() else { return String::new() };
        let whole = match torn(&url) {
            // It can be read in two ways, of which one has a host that is not asked.
            Some((before, ..)) if Url::parse(&url).is_ok() => return format!("{before}{HIDDEN}"),
            Some((before, _, rest)) => format!("{before}{rest}"),
            None => url,
        };
        let url = whole.split(['?', '#']).next().unwrap_or_default();
        match url.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let host = authority.rsplit('@').next().unwrap_or_default();
                format!("{scheme}://{host}{path}")
            }
            None => url.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_credentials() {
        let mut server = ServerConfig::new("db", "http");
        for (url, shown) in [
            ("http://user:secret@host:8/mcp?key=secret#x", "http://host:8/mcp"),
            ("https://host", "https://host"),
            ("https://host/a@b", "https://host/a@b"),
            ("https://host/@scope/pkg", "https://host/@scope/pkg"),
            ("http://mcp-server:8080/users/ada@x.org/mcp", "http://***"),
            ("https://svc:UrlS3cr/et@web.example/mcp", "https://web.example/mcp"),
            ("https://svc:S3cr#et?@web.example/mcp?key=secret", "https://web.example/mcp"),
        ] {
            server.url = Some(url.into());
            assert_eq!(server.place(), shown);
        }
    }
}
