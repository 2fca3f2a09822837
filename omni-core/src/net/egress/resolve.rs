//! Names become addresses that were checked, and the connection is made to those: whoever owns a name
//! cannot answer the check with one address and the connection with another.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;

use super::rules::Rules;

/// Most addresses of one name that are looked at.
const MAX_ADDRESSES: usize = 64;

/// Resolves names to addresses that the rules allow.
pub(super) struct Checked(pub(super) Arc<Rules>);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = lookup_host((host.as_str(), 0)).await?.take(MAX_ADDRESSES).collect::<Vec<_>>();
            Ok(checked(&rules, &host, found)?)
        })
    }
}

/// One address that is not allowed spoils the name: it has no reason to be there but to be tried.
fn checked(rules: &Rules, host: &str, found: Vec<SocketAddr>) -> Result<Addrs, String> {
    let addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
    if addresses.is_empty() {
        return Err(format!("{host} has no address"));
    }
    for address in addresses {
        rules.check_address(host, address)?;
    }
    Ok(Box::new(found.into_iter()))
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::config::EgressConfig;

    fn rules() -> Rules {
        Rules::new(&Url::parse("https://mcp.example.com/mcp").unwrap(), &EgressConfig::default(), false)
    }

    fn found(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn a_name_with_one_forbidden_address_among_good_ones_is_not_asked() {
        assert_eq!(checked(&rules(), "a", found(&["93.184.215.14", "2606:4700::1111"])).ok().unwrap().count(), 2);
        for bad in ["10.0.0.1", "127.0.0.1", "::1", "169.254.169.254", "64:ff9b::a00:1", "2002:a00:1::1"] {
            assert!(checked(&rules(), "a", found(&["93.184.215.14", bad])).is_err(), "{bad}");
        }
        assert!(checked(&rules(), "a", Vec::new()).is_err());
    }
}
