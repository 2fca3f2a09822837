//! Step 6, agent: the loop between model and tools.
//!
//! [`run`] decides without I/O and can be stored between any two steps; `drive` performs what it
//! decides; [`prompt`] writes what the model is told.

pub(crate) mod budget;
mod dispatch;
pub(crate) mod drive;
pub(crate) mod menu;
pub mod plan;
pub mod prompt;
pub(crate) mod reading;
pub mod run;
pub(crate) mod summary;
mod turn;
mod uncalled;

pub(crate) use dispatch::reads_policy;
pub use plan::{Asking, Disposition, PlannedCall, Refused};
pub use reading::Reading;
pub use run::{CallOutcome, Finish, Run, RunLimits, Step};
