//! What a test has said is to go wrong.

use super::Fault;

#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Vec<Planned>,
    /// How many acks are still to be lost.
    pub(super) lost_acks: usize,
    /// How many deliveries over sockets are still to be lost.
    pub(super) lost_deliveries: usize,
    /// How many connections are still to hang before they are any.
    pub(super) hanging_links: usize,
    /// Whether connections are closed right after they are greeted.
    pub(super) brief_links: bool,
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
        one_of(&mut self.lost_acks)
    }

    /// Whether a delivery does.
    pub(super) fn loses_delivery(&mut self) -> bool {
        one_of(&mut self.lost_deliveries)
    }

    /// Whether a connection hangs.
    pub(super) fn hangs_link(&mut self) -> bool {
        one_of(&mut self.hanging_links)
    }
}

/// Whether there is still one, which is one less from now on.
fn one_of(left: &mut usize) -> bool {
    let is_one = *left > 0;
    *left = left.saturating_sub(1);
    is_one
}
