//! The rules decide: who may submit, what may run now and why not, what to launch, when a task must end.
//! Pure: no async, no IO, no clock, no randomness; `now` is the first argument of every rule.

#[macro_use]
mod words;
mod admission;
mod calendar;
mod choice;
mod eligibility;
mod explain;
mod history;
mod pace;
mod policy;
mod records;
mod running;
mod schedule;

pub use admission::*;
pub use calendar::*;
pub use choice::*;
pub use eligibility::*;
pub use explain::*;
pub use history::*;
pub use pace::*;
pub use policy::*;
pub use records::*;
pub use running::*;
pub use schedule::*;
pub use words::*;
