//! What a server's questions say, as it came, until they are answered.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rmcp::model::RequestId;
use serde_json::value::RawValue;

/// Most questions that are kept.
const MOST: usize = 64;

/// Longest question that is kept, in bytes: whoever is asked a longer one is told what rmcp read of it.
const LONGEST: usize = 64 * 1024;

/// The parameters of questions by their ids.
#[derive(Default)]
pub(super) struct Questions(Mutex<HashMap<RequestId, Box<RawValue>>>);

impl Questions {
    pub(super) fn keep(&self, id: &RequestId, params: &RawValue) {
        let mut kept = self.kept();
        if kept.len() < MOST && params.get().len() <= LONGEST {
            kept.insert(id.clone(), params.to_owned());
        }
    }

    /// Gives them out, once.
    pub(super) fn take(&self, id: &RequestId) -> Option<Box<RawValue>> {
        self.kept().remove(id)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<RequestId, Box<RawValue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(bytes: usize) -> Box<RawValue> {
        RawValue::from_string(format!("{:?}", "x".repeat(bytes - 2))).unwrap()
    }

    #[test]
    fn questions_are_bounded_in_number_and_in_length() {
        let (questions, short) = (Questions::default(), params(2));
        for id in 0..MOST {
            questions.keep(&RequestId::Number(i64::try_from(id).unwrap()), &short);
        }
        let more = RequestId::Number(-1);
        questions.keep(&more, &short);
        assert!(questions.take(&more).is_none(), "there are enough");
        assert!(questions.take(&RequestId::Number(0)).is_some() && questions.take(&RequestId::Number(0)).is_none());
        questions.keep(&more, &params(LONGEST + 1));
        assert!(questions.take(&more).is_none(), "it is too long");
        questions.keep(&more, &params(LONGEST));
        assert!(questions.take(&more).is_some());
    }
}
