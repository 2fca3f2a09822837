//! Pins held in memory.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{Mark, Pin, PinError, PinStore};

/// Most pins that are kept.
const MAX_PINS: usize = 200_000;

/// Pins for as long as the process lives: what was seen in an earlier one is not known.
#[derive(Debug, Default)]
pub struct MemoryPins(Mutex<BTreeMap<(String, String), Pin>>);

impl MemoryPins {
    /// No pin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<(String, String), Pin>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find<T>(&self, server: Option<&str>, tool: Option<&str>, take: impl Fn(&Pin) -> T) -> Vec<T> {
        let wanted =
            |pin: &&Pin| server.is_none_or(|server| pin.server == server) && tool.is_none_or(|tool| pin.tool == tool);
        self.all().values().filter(wanted).map(take).collect()
    }
}

#[async_trait]
impl PinStore for MemoryPins {
    async fn marks(&self, server: Option<&str>) -> Result<Vec<Mark>, PinError> {
        Ok(self.find(server, None, Pin::mark))
    }

    async fn pins(&self, server: Option<&str>, tool: Option<&str>) -> Result<Vec<Pin>, PinError> {
        Ok(self.find(server, tool, Pin::clone))
    }

    async fn put(&self, pins: &[Pin]) -> Result<bool, PinError> {
        let mut all = self.all();
        let key = |pin: &Pin| (pin.server.clone(), pin.tool.clone());
        if pins.iter().any(|pin| all.get(&key(pin)).map_or(0, |known| known.revision) != pin.revision) {
            return Ok(false);
        }
        if all.len() + pins.len() > MAX_PINS {
            return Err(PinError::new(format!("there are {MAX_PINS} pins already")));
        }
        for pin in pins {
            all.insert(key(pin), Pin { revision: pin.revision + 1, ..pin.clone() });
        }
        Ok(true)
    }
}
