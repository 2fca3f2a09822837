//! What every command needs: configuration, registry, identity, console.

use std::sync::Arc;
#[cfg(feature = "demo")]
use std::sync::OnceLock;

use omni_core::{
    Config, Error, Omni, Registry,
    config::{LoadOptions, Process, Severity},
    identity::Credential,
};

#[cfg(feature = "demo")]
use crate::demo::Demo;
use crate::{
    args::Global,
    console::Console,
    fault::Fault,
    logging::Logging,
    typed::{Stdin, Terminal},
};

/// One run of the program.
#[derive(Debug)]
#[non_exhaustive]
pub struct App {
    pub(crate) process: Process,
    pub(crate) global: Global,
    pub(crate) registry: Arc<Registry>,
    pub(crate) console: Arc<Console>,
    pub(crate) logging: Logging,
    /// What stands in place of every configuration.
    #[cfg(feature = "demo")]
    demo: OnceLock<Demo>,
}

impl App {
    /// A run with these arguments over these implementations.
    #[must_use]
    pub fn new(process: Process, global: Global, registry: Registry) -> Self {
        let console = Arc::new(Console::of(&process, &global));
        Self {
            process,
            global,
            registry: Arc::new(registry),
            console,
            logging: Logging::default(),
            #[cfg(feature = "demo")]
            demo: OnceLock::new(),
        }
    }

    /// Makes the demo, where this run is one.
    #[cfg(feature = "demo")]
    pub(crate) async fn prepare(&self) -> Result<(), Fault> {
        if self.global.demo {
            // First: what is made only in part goes with the rest.
            let demo = Demo::begin(&self.process)?;
            self.demo.get_or_init(|| demo).fill(&self.process).await?;
            self.console
                .hint("a made-up month and sample databases, thrown away afterwards; `omni init` begins for real");
        }
        Ok(())
    }

    /// The same run, with a log that follows the configuration.
    #[must_use]
    pub fn with_logging(mut self, logging: Logging) -> Self {
        logging.beside(&self.console.spinner);
        self.logging = logging;
        self
    }

    /// The configuration, or the embedded default. That there are warnings is told; what they are,
    /// `omni config check` tells.
    pub(crate) fn config(&self) -> Result<Config, Fault> {
        self.config_by(self.load_options())
    }

    /// The same by other options.
    pub(crate) fn config_by(&self, options: LoadOptions) -> Result<Config, Fault> {
        let config = self.load_by(options)?;
        let warnings = config.diagnostics.iter().filter(|finding| finding.severity >= Severity::Warning).count();
        match warnings {
            0 => {}
            1 => self.console.warning("the configuration has 1 warning; `omni config check` shows it"),
            many => {
                self.console.warning(&format!("the configuration has {many} warnings; `omni config check` shows them"))
            }
        }
        Ok(config)
    }

    /// The same without a word on its warnings, for whoever shows them.
    pub(crate) fn load(&self) -> Result<Config, Fault> {
        self.load_by(self.load_options())
    }

    /// Where the configuration of this run is.
    pub(crate) fn load_options(&self) -> LoadOptions {
        #[cfg(feature = "demo")]
        if let Some(demo) = self.demo.get() {
            return demo.options(&self.process);
        }
        let mut options = LoadOptions::new(self.process.env.clone(), &self.process.cwd);
        options.dir.clone_from(&self.global.config);
        options
    }

    fn load_by(&self, options: LoadOptions) -> Result<Config, Fault> {
        let config = Config::load(options).map_err(Error::from)?;
        self.logging.follow(config.log_level.as_deref());
        Ok(config)
    }

    /// The pipeline that the configuration describes. Whoever takes it shuts it down.
    pub(crate) async fn omni(&self) -> Result<Omni, Fault> {
        self.build(&self.config()?).await
    }

    /// The pipeline of a configuration.
    pub(crate) async fn build(&self, config: &Config) -> Result<Omni, Fault> {
        Ok(Omni::from_config(config, &self.registry).await?)
    }

    /// The terminal of a command that asks at most now and then.
    pub(crate) fn terminal(&self) -> Arc<Terminal> {
        Terminal::new(self.console.clone(), Arc::new(Stdin::default()))
    }

    /// The person at the terminal, perhaps acting as somebody else.
    pub(crate) fn credential(&self, act_as: Option<&str>) -> Credential {
        Credential::Local { os_user: self.process.os_user.clone(), act_as: act_as.map(str::to_owned) }
    }
}
