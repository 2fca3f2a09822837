//! `omni health`: what supervisors and containers ask of a service.

use std::time::Duration;

use omni_core::{
    Config,
    config::HttpConfig,
    net::{self, ClientOptions},
};
use url::Url;

use crate::{app::App, args::HealthArgs, exit::Exit, fault::Fault};

/// What says whether questions are let in.
const READY: &str = "/health/ready";
/// Whoever asks comes again soon, and two of them are not to wait at the same time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(4);

/// Asks once. This runs every few seconds: no credentials are looked at, and a configuration only where nobody says
/// whom to ask.
pub(super) async fn run(app: &App, args: &HealthArgs) -> Result<Exit, Fault> {
    let url = asked(args.url.clone().map_or_else(|| here(app), Ok)?);
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::usage(format!("a service is asked over http or https, not over {}", url.scheme())));
    }
    // An address may have a password, which no log of a supervisor is to have.
    let shown = without_secrets(&url);
    let client = net::client(&ClientOptions::for_url(&url).with_connect_timeout(ANSWERS_WITHIN))
        .map_err(|error| Fault::with_exit(error.to_string(), Exit::Failed))?;
    let away = |message: String| Fault::with_exit(message, Exit::Unavailable);
    match client.get(url).timeout(ANSWERS_WITHIN).send().await {
        Ok(answer) if answer.status().is_success() => {
            app.console.line(&format!("{shown} is ready"))?;
            Ok(Exit::Success)
        }
        Ok(answer) => Err(away(format!("{shown} is not ready: it answers {}", answer.status().as_u16()))),
        Err(error) => Err(away(format!("{shown} cannot be asked: {}", net::describe(&error)))),
    }
}

/// The service of this machine. A configuration that is not right is not what a service that runs goes by.
fn here(app: &App) -> Result<Url, Fault> {
    let configured = Config::port_of(app.load_options()).filter(|port| *port != 0);
    let port = configured.unwrap_or(HttpConfig::default().port);
    Url::parse(&format!("http://127.0.0.1:{port}")).map_err(|error| Fault::usage(error.to_string()))
}

/// The address with the path that is asked.
fn asked(mut url: Url) -> Url {
    if url.path() == "/" {
        url.set_path(READY);
    }
    url
}

/// Without what may be a secret of an address.
fn without_secrets(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_is_asked_whether_it_is_ready_and_one_with_a_path_that_path() {
        for (given, expected) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/health/ready"),
            ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/health/ready"),
            ("http://127.0.0.1:8302/healthz", "http://127.0.0.1:8302/healthz"),
        ] {
            assert_eq!(asked(given.parse().unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn what_is_told_has_no_password() {
        let url = "https://omni:s3cret@omni.company.com/health?key=s3cret".parse().unwrap();
        assert_eq!(without_secrets(&url), "https://omni.company.com/health");
    }
}
