//! What the router and its clients say to each other, in JSON.
//!
//! Keys are `snake_case`. Words are the rules' own (`app-refresh`, `host-stopping`), moments are RFC 3339 text in UTC, ids are
//! numbers, durations and sizes carry their unit in the key. Bytes say how they are written: [`Bytes`].
//! Bodies and queries a client sends are read strictly: a field nobody knows is an error that names it.

mod bundles;
mod bytes;
mod events;
mod grants;
mod inspection;
mod records;
mod requests;
mod schedules;
mod text;
mod trust;

pub use bundles::{Asked, Bundle, BundleDetail, Grant, Granted, Installed, Missing, Switched, Uninstalled};
pub use bytes::{Bytes, Output};
pub use events::{Event, What};
pub use grants::{GrantOffer, SecretHeader, SecretSource};
pub use inspection::{Ask, Entitlements, Import, Inspection, InstalledState, Producer, Signature};
pub use records::{
    About, Cancelled, Condition, Ended, ExpiredNow, HistoryEntry, LaunchedNow, Mend, Outcome, Progress, Reason,
    RequestRecord, Submission, Task, Usage, Waiting, Why,
};
pub use requests::{
    ChangeGrants, ExpireNow, Install, LaunchNow, LogQuery, PastQuery, Repeat, Request, RequestQuery, Retry,
    StateCondition, Switch, UninstallQuery,
};
pub use schedules::{
    AddSchedule, DEFAULT_TIMES, DeclaredSchedule, Occurrence, Schedule, ScheduleGranted, ScheduleNews, ScheduleQuery,
    SwitchSchedule, TIMES_LIMIT, TimesQuery,
};
pub use text::{FromText, Text};
pub use trust::{Key, KeyTrusted, SetPolicy, Trust, TrustKey, Verdict};

/// An output longer than this is left out of lists and events, where only its size is said; asking for the task gives it.
pub const INLINE_OUTPUT_LIMIT: usize = 4 * 1024;
/// How many pending requests a list holds when the client names no limit.
pub const DEFAULT_LIST_LIMIT: usize = 100;
/// The longest list a client may ask for at once.
pub const LIST_LIMIT: usize = 1_000;
