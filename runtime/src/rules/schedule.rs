//! Work by the calendar: what a schedule says, which of its occurrences are due, and when each may begin. What is due is asked for
//! as a person would, so that admission, limits and reasons are those of any request.

use std::{fmt, sync::Arc, time::Duration};

use jiff::{SignedDuration, Span, SpanRelativeTo, tz::TimeZone};

use super::{admission::*, calendar::*, policy::*, records::CancelCause, words::*};

/// A schedule's name, which it has alone in its bundle, such as `nightly`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleName(Arc<str>);

/// A schedule's name in full: its bundle's id, a colon, and its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleId {
    pub bundle: BundleId,
    pub name: ScheduleName,
}

/// The name of a time zone, such as `Europe/Berlin`, or `local` for the machine's own. Whether there is such a zone is no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneName(Arc<str>);

/// The longest name a schedule may have, in bytes.
pub const SCHEDULE_NAME_LIMIT: usize = 63;

/// What stands for the machine's own time zone.
const LOCAL: &str = "local";

impl ScheduleName {
    /// Errors: it holds something else than lower-case letters, digits and hyphens.
    pub fn parse(name: &str) -> Result<ScheduleName, String> {
        let may_stand = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > SCHEDULE_NAME_LIMIT || !name.chars().all(may_stand) {
            let shown: String = name.chars().take(SCHEDULE_NAME_LIMIT).collect();
            return Err(format!(
                "`{shown}` is no name of a schedule: it holds 1 to {SCHEDULE_NAME_LIMIT} lower-case letters, digits and hyphens, such as nightly"
            ));
        }
        Ok(ScheduleName(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ScheduleId {
    /// Errors: it is not a bundle's id, a colon and a name.
    pub fn parse(text: &str) -> Result<ScheduleId, String> {
        let (bundle, name) = text.split_once(':').ok_or_else(|| {
            format!("`{text}` is no schedule: write its bundle's id, a colon and its name, such as com.example.gallery:nightly")
        })?;
        let bundle = BundleId::parse(bundle).map_err(|error| error.to_string())?;
        Ok(ScheduleId { bundle, name: ScheduleName::parse(name)? })
    }
}

impl ZoneName {
    /// Errors: no zone could be called so.
    pub fn parse(name: &str) -> Result<ZoneName, String> {
        let may_stand = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
        if name.is_empty() || name.len() > SCHEDULE_NAME_LIMIT || !name.chars().all(may_stand) {
            let shown: String = name.chars().take(SCHEDULE_NAME_LIMIT).collect();
            return Err(format!(
                "`{shown}` is no name of a time zone, such as Europe/Berlin, UTC, or local for the machine's own"
            ));
        }
        Ok(ZoneName(name.into()))
    }

    pub fn utc() -> ZoneName {
        ZoneName("UTC".into())
    }

    pub fn is_local(&self) -> bool {
        &*self.0 == LOCAL
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ScheduleId { bundle, name } = self;
        write!(f, "{bundle}:{name}")
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// What becomes of occurrences that came while nobody looked: the host was down, the machine slept, the bundle was disabled.
    MissedRuns {
        /// They are over.
        Skip = "skip",
        /// The last of them runs.
        Once = "once",
        /// Each of them runs, one after another, up to a number.
        All = "all",
    }
}

words! {
    /// Who made a schedule.
    ScheduleOrigin {
        /// The bundle's manifest declares it; it comes and goes with the version.
        Manifest = "manifest",
        /// An operator did.
        Operator = "operator",
    }
}

words! {
    /// What people see of a schedule.
    ScheduleState {
        Enabled = "enabled",
        Disabled = "disabled",
        BundleDisabled = "bundle-disabled",
        /// This machine does not know its time zone.
        UnknownZone = "unknown-zone",
    }
}

/// Asks for a task again and again, by the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub name: ScheduleName,
    pub identifier: Identifier,
    pub kind: Kind,
    pub calendar: Calendar,
    pub zone: ZoneName,
    /// Each run may begin later by up to so much.
    pub jitter: Duration,
    pub missed: MissedRuns,
    pub input: Vec<u8>,
    pub enabled: bool,
}

/// The numbers schedules go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulePolicy {
    /// How many schedules one bundle may have.
    pub schedules: usize,
    /// How many missed occurrences run under `all`.
    pub missed_runs: usize,
    /// From how late on an occurrence counts as missed.
    pub missed_after: Duration,
    /// From how far on a clock that was set back had been wrong.
    pub clock_set_back: Duration,
}

/// What of a schedule has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// The occurrences to run, oldest first.
    pub run: Vec<Timestamp>,
    /// The first and the last of those that are over.
    pub missed: Option<(Timestamp, Timestamp)>,
}

/// Something that became of a schedule or of its occurrences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleNews {
    Added,
    Removed {
        cause: CancelCause,
    },
    Enabled,
    Disabled,
    /// An occurrence came, and its task was asked for.
    Due {
        occurrence: Timestamp,
        request: RequestId,
    },
    /// An occurrence came, and what it asked for was refused.
    Refused {
        occurrence: Timestamp,
        refusal: Refusal,
    },
    /// The occurrences between these two, both included, were missed.
    Missed {
        from: Timestamp,
        to: Timestamp,
    },
    /// The clock was set back by a lot: what had been seen until `from` is forgotten.
    Restarted {
        from: Timestamp,
    },
    /// Its time zone is not known on this machine: nothing of it comes until it is.
    Stopped {
        message: String,
    },
}

impl Schedule {
    /// The request an occurrence makes.
    pub fn request(&self, bundle: &BundleId, occurrence: Timestamp) -> Request {
        Request { earliest_begin: Some(self.begins(bundle, occurrence)), ..self.plain_request() }
    }

    /// Whether it would be permitted still under another manifest.
    pub fn is_still_permitted(&self, profile: Profile, permits: &Permits) -> bool {
        permits.still_permits(profile, &self.plain_request())
    }

    fn plain_request(&self) -> Request {
        Request { input: self.input.clone(), ..Request::new(self.identifier.clone(), self.kind.clone()) }
    }

    /// When the run of an occurrence may begin: always the same moment for the same occurrence, and others for other schedules.
    pub fn begins(&self, bundle: &BundleId, occurrence: Timestamp) -> Timestamp {
        let jitter = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        let seconds = occurrence.as_second().to_be_bytes();
        let hash = hash([bundle.as_str().as_bytes(), b":", self.name.as_str().as_bytes(), &seconds]);
        let delay = Duration::from_millis(hash % jitter.saturating_add(1));
        occurrence.checked_add(delay).unwrap_or(occurrence)
    }

    /// Whether a bundle may have it: what it asks for must be permitted, and its runs must come to their turn.
    pub fn check(&self, policy: &Policy, permits: &Permits) -> Result<(), Refusal> {
        self.check_jitter().map_err(|fault| Refusal {
            code: RefusalCode::NotPermitted,
            message: format!("the jitter of schedule {} {fault}", self.name),
        })?;
        let nothing_else = Standing { replaceable: None, pending: 0 };
        // Whether its bundle is disabled just now is another matter.
        let permits = Permits { enabled: true, ..permits.clone() };
        admit(policy, &permits, nothing_else, Submitter::Bundle, &self.plain_request())
            .map_err(|refusal| Refusal { message: format!("schedule {}: {}", self.name, refusal.message), ..refusal })
    }

    /// Errors: runs would take each other's place before they began; what is wrong, as the tail of a sentence.
    pub fn check_jitter(&self) -> Result<(), String> {
        let jitter = SignedDuration::try_from(self.jitter).unwrap_or(SignedDuration::MAX);
        let gap = self.calendar.shortest_gap();
        match jitter < gap {
            true => Ok(()),
            false => Err(format!(
                "is {jitter:#}, and its runs can be only {gap:#} apart, so that each would take the place of the one before: make it shorter"
            )),
        }
    }

    /// What has come since the last occurrence that was `seen`.
    pub fn due(&self, now: Now, policy: &SchedulePolicy, zone: &TimeZone, seen: Timestamp) -> Due {
        let last = |until: Timestamp| self.calendar.last(until, zone).filter(|occurrence| *occurrence > seen);
        let Some(latest) = last(now.wall) else { return Due::default() };
        let on_time = now.wall.duration_since(latest).unsigned_abs() <= policy.missed_after;
        let most = match self.missed {
            MissedRuns::Skip => usize::from(on_time),
            MissedRuns::Once => 1,
            MissedRuns::All => policy.missed_runs.max(1),
        };
        let mut run = Vec::new();
        let mut before = Some(latest);
        while let Some(occurrence) = before.filter(|_| run.len() < most) {
            run.push(occurrence);
            before = occurrence.checked_sub(SignedDuration::from_nanos(1)).ok().and_then(last);
        }
        run.reverse();
        // What is left lies further back than what runs.
        let missed = before.map(|to| (self.calendar.next(seen, zone).unwrap_or(to), to));
        Due { run, missed }
    }
}

/// What a bundle with these may schedule: of all that a manifest may claim, schedules need no more.
pub fn permits_of(modes: &[BackgroundMode], identifiers: &[Pattern]) -> Permits {
    Permits {
        enabled: true,
        modes: modes.to_vec(),
        identifiers: identifiers.to_vec(),
        entitlements: Entitlements::default(),
        enrolled: false,
        memory: None,
    }
}

/// Reads `10m` or `1h30m`, the longest delay of a run.
pub fn parse_jitter(text: &str) -> Result<Duration, String> {
    let fault = || format!("`{text}` is not a length of time, such as 30s, 10m or 1h30m");
    let span: Span = text.parse().map_err(|_| fault())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| fault())?;
    Duration::try_from(length).map_err(|_| fault())
}

/// FNV-1a, and a last stir so that neighbours in time lie apart. What it gives is a promise: occurrences keep their moments.
fn hash<const N: usize>(pieces: [&[u8]; N]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in pieces.into_iter().flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
