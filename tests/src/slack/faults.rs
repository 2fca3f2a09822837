//! What a test has said is to go wrong.

use super::Fault;

#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Vec<Planned>,
    /// How many acks are still to be lost.
    pub(super) lost_acks: usize,
}

#[derive(Debug)]
struct Planned {
    method: String,
    left: usize,
    fault: Fault,
}

impl Faults {
    pub(super) fn plan(&mut self, method: &str, times: usize, fault: Fault) {
        self.planned.push(Planned { method: method.into(), left: times, fault });
    }

    /// What goes wrong with this call.
    pub(super) fn next(&mut self, method: &str) -> Option<Fault> {
        let planned = self
            .planned
            .iter_mut()
            .find(|planned| planned.left > 0 && (planned.method == "*" || planned.method == method))?;
        planned.left = if planned.left == usize::MAX { usize::MAX } else { planned.left - 1 };
        Some(planned.fault.clone())
    }

    /// Whether an ack gets lost.
    pub(super) fn loses_ack(&mut self) -> bool {
        let loses = self.lost_acks > 0;
        self.lost_acks = self.lost_acks.saturating_sub(1);
        loses
    }
}
