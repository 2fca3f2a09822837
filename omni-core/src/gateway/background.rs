//! What servers go on with in the background (tasks extension). A task is known here under a name of omni's own, which
//! only whoever called is told: the server's own name could be guessed, and says nothing of which server it is.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

use crate::{identity::Holder, omni::BackgroundTask};

/// What a task's name begins with.
const MARK: &str = "omni-task:";
/// Most tasks that are known.
const MOST: usize = 4_096;
/// Most tasks of one client.
const MOST_EACH: usize = 256;
/// How long a task is known whose server sets no end, and at the most.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A task, and whose it is.
struct Kept {
    task: Arc<BackgroundTask>,
    owner: Holder,
    since: Instant,
    until: Instant,
}

/// All of them.
#[derive(Default)]
pub(super) struct Background(Mutex<HashMap<String, Kept>>);

impl Background {
    /// Keeps a task for as long as its server does, and says its name; `None` where there is no room.
    pub(super) fn keep(&self, task: Arc<BackgroundTask>, owner: Holder, ttl_ms: Option<u64>) -> Option<String> {
        let (name, since) = (format!("{MARK}{}", Uuid::new_v4()), Instant::now());
        let mut tasks = self.tasks();
        tasks.retain(|_, kept| kept.until > since);
        let own = |tasks: &HashMap<String, Kept>| tasks.values().filter(|kept| kept.owner == owner).count();
        // Of a task that has ended, its client has been told.
        if own(&tasks) >= MOST_EACH {
            tasks.retain(|_, kept| kept.owner != owner || !kept.task.has_ended());
        }
        if tasks.len() >= MOST {
            tasks.retain(|_, kept| !kept.task.has_ended());
        }
        if own(&tasks) >= MOST_EACH || tasks.len() >= MOST {
            return None;
        }
        let until = since + lifetime(ttl_ms);
        tasks.insert(name.clone(), Kept { task, owner, since, until });
        Some(name)
    }

    /// The task of a name, for whoever called.
    pub(super) fn find(&self, name: &str, owner: &Holder) -> Option<Arc<BackgroundTask>> {
        let tasks = self.tasks();
        let kept = tasks.get(name).filter(|kept| kept.until > Instant::now() && kept.owner == *owner)?;
        Some(kept.task.clone())
    }

    /// The server keeps a task for another time.
    pub(super) fn lasts(&self, name: &str, ttl_ms: Option<u64>) {
        if let Some(kept) = self.tasks().get_mut(name) {
            kept.until = kept.since + lifetime(ttl_ms);
        }
    }

    /// The server knows a task no more.
    pub(super) fn forget(&self, name: &str) {
        self.tasks().remove(name);
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lifetime(ttl_ms: Option<u64>) -> Duration {
    ttl_ms.map_or(KEPT, Duration::from_millis).min(KEPT)
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Background").field(&self.tasks().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Credential, Principal, Via};

    fn owner(name: &str) -> Holder {
        Holder::new(&Principal::new(name, Via::ApiKey), &Credential::api_key(format!("omni_{name}")))
    }

    fn task() -> Arc<BackgroundTask> {
        Arc::new(BackgroundTask::new("lab", "slow", "7", Uuid::now_v7()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_is_known_to_whoever_called_for_as_long_as_its_server_keeps_it() {
        let background = Background::default();
        let name = background.keep(task(), owner("ada"), Some(1_000)).unwrap();
        assert!(background.find(&name, &owner("ada")).is_some() && background.find(&name, &owner("eve")).is_none());
        assert!(!name.contains("lab") && name.len() > 40, "{name}");
        tokio::time::advance(Duration::from_millis(600)).await;
        background.lasts(&name, Some(2_000));
        tokio::time::advance(Duration::from_millis(1_000)).await;
        assert!(background.find(&name, &owner("ada")).is_some());
        tokio::time::advance(Duration::from_millis(400)).await;
        assert!(background.find(&name, &owner("ada")).is_none());
        let name = background.keep(task(), owner("ada"), None).unwrap();
        tokio::time::advance(KEPT).await;
        assert!(background.find(&name, &owner("ada")).is_none());
    }

    #[tokio::test]
    async fn nobody_takes_everybodys_room_and_what_has_ended_makes_room() {
        let background = Background::default();
        let names: Vec<_> = (0..MOST_EACH).map(|_| background.keep(task(), owner("ada"), None).unwrap()).collect();
        assert!(background.keep(task(), owner("ada"), None).is_none());
        assert!(background.keep(task(), owner("eve"), None).is_some());
        let ended = background.find(&names[0], &owner("ada")).unwrap();
        ended.ends(async { Ok(()) }).await.unwrap();
        assert!(background.keep(task(), owner("ada"), None).is_some());
        assert!(background.find(&names[0], &owner("ada")).is_none());
    }

    #[tokio::test]
    async fn there_is_an_end_to_how_many_are_known() {
        let background = Background::default();
        let keep = |number: usize| background.keep(task(), owner(&(number / MOST_EACH).to_string()), None);
        assert!((0..MOST).all(|number| keep(number).is_some()));
        assert!(keep(MOST).is_none());
    }
}
