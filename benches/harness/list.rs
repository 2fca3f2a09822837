//! The list of 1,000 tools, once it was asked for.

use std::path::Path;

use anyhow::Result;

use super::{
    calls::lists,
    child::Role,
    drive::{Load, drive},
    home::{Home, Serving, Setup, server},
    round::Sums,
};

pub(super) const LIST: &str = "list of 1,000 tools, session";
pub(super) const MODERN_LIST: &str = "list of 1,000 tools, 2026-07-28";

/// What is measured of lists.
#[derive(Debug)]
pub(super) struct Lists {
    serving: Serving,
    loads: [Load; 2],
    _home: Home,
    _upstream: Role,
}

impl Lists {
    pub(super) async fn start(program: &Path) -> Result<Self> {
        let upstream = Role::start(&["upstream"])?;
        let mut many = server("many", &upstream.address, "/many");
        many["connect"] = "eager".into();
        let home = Home::new(program, &Setup { servers: vec![many], ..Setup::default() })?;
        let (key, serving) = (home.key()?, home.serve()?);
        serving.knows(1).await?;
        let loads = lists(&serving.address, &key);
        for load in &loads {
            drive(load, 1, 0.01).await?;
        }
        Ok(Self { serving, loads, _home: home, _upstream: upstream })
    }

    /// One round.
    pub(super) async fn round(&self, sums: &mut Sums, seconds: f64) -> Result<()> {
        for (what, load) in [LIST, MODERN_LIST].into_iter().zip(&self.loads) {
            sums.measure((what, 1), load, seconds, Some(&self.serving)).await?;
        }
        Ok(())
    }
}
