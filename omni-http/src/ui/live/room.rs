//! How many pages are told of changes at the same time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use omni_core::Principal;

use crate::error::ApiError;

/// Most in total.
const MOST: usize = 256;
/// Most of one person.
const MOST_OF_ONE: usize = 8;

/// A tenant, and who of it.
type Who = (String, String);

/// The room that is taken, by whom.
#[derive(Debug, Default)]
pub(super) struct Rooms(Arc<Mutex<HashMap<Who, usize>>>);

/// Room for one page, until this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    taken: Arc<Mutex<HashMap<Who, usize>>>,
    who: Who,
}

fn locked(taken: &Mutex<HashMap<Who, usize>>) -> MutexGuard<'_, HashMap<Who, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rooms {
    /// Room for one more page.
    ///
    /// # Errors
    /// There are too many of this person, or too many at all.
    pub(super) fn take(&self, who: &Principal) -> Result<Room, ApiError> {
        let who = (who.tenant.clone(), who.subject.clone());
        let mut taken = locked(&self.0);
        let own = taken.get(&who).copied().unwrap_or(0);
        if own >= MOST_OF_ONE {
            return Err(ApiError::full("you have too many pages open that are told of changes; this one is not"));
        }
        if taken.values().sum::<usize>() >= MOST {
            return Err(ApiError::full("too many pages are open that are told of changes; this one is not"));
        }
        taken.insert(who.clone(), own + 1);
        Ok(Room { taken: self.0.clone(), who })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = locked(&self.taken);
        match taken.get_mut(&self.who) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.who)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_the_room_and_what_is_left_is_others() {
        let rooms = Rooms::default();
        let (ada, bob) = (Principal::email("ada@x.org"), Principal::email("bob@x.org"));
        let mut held: Vec<_> = (0..MOST_OF_ONE).map(|_| rooms.take(&ada).unwrap()).collect();
        assert!(rooms.take(&ada).is_err() && rooms.take(&bob).is_ok());
        held.pop();
        assert!(rooms.take(&ada).is_ok(), "who leaves makes room");
        drop(held);
        assert!(locked(&rooms.0).is_empty(), "nothing is kept of who has gone");
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let rooms = Rooms::default();
        let person = |at: usize| Principal::email(&format!("p{at}@x.org"));
        let held: Vec<_> = (0..MOST).map(|at| rooms.take(&person(at)).unwrap()).collect();
        assert!(rooms.take(&person(MOST)).is_err());
        drop(held);
        assert!(rooms.take(&person(MOST)).is_ok());
    }
}
