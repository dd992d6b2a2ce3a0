//! Who sits at the machine, as the login manager knows it: whether somebody uses a seat, and whether it is locked.
//!
//! It is asked over the system's bus: the files it keeps in `/run/systemd` are private to it and say neither whether a
//! session is idle nor whether it is locked. A session without a seat, such as a login from another machine, is nobody
//! who sits here.

use std::{path::Path, time::Duration};

use super::{
    bus::{Body, Bus, NoAnswer, Question, Value},
    sight,
};
use crate::{conditions::Sight, rules::Now};

const SOCKET: &str = "run/dbus/system_bus_socket";
const SERVICE: &str = "org.freedesktop.login1";
const SESSION: &str = "org.freedesktop.login1.Session";
/// The most sessions at seats that are asked about.
const MOST: usize = 16;

/// How the login manager is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long it may take to answer one question.
    pub answer: Duration,
    /// How long it is left alone when it did not.
    pub rest: Duration,
}

/// What the login manager said at the last look.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    bus: Option<Bus>,
    /// When it is asked again, and why it did not answer.
    resting: Option<(Duration, String)>,
    /// Somebody unlocked the machine while this process lived, so after the machine has started.
    seen_unlocked: bool,
}

/// What is known of those who sit at the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seats {
    Known(Vec<Session>),
    /// Why not.
    Unknown(String),
}

/// One session at a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    name: String,
    seat: String,
    /// A person's. Else it shows a screen to log in, or waits for something.
    is_persons: bool,
    /// In the foreground of its seat.
    is_active: bool,
    is_idle: bool,
    is_locked: bool,
}

/// What follows from the sessions at seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Presence {
    /// Nobody uses a seat.
    pub(super) unused: Sight,
    pub(super) unlocked_once: Sight,
    pub(super) unlocked: Sight,
}

impl Sessions {
    /// Asks; when there was no answer, not again before it has rested.
    pub(super) fn look(&mut self, root: &Path, now: Now, patience: Patience) -> Presence {
        let seats = match &self.resting {
            Some((until, why)) if now.uptime < *until => Seats::Unknown(why.clone()),
            Some(_) | None => self.ask(root, now, patience),
        };
        let mut presence = seats.presence();
        if let Seats::Known(sessions) = &seats {
            // A person's session at a seat, locked or not, was once begun by that person.
            self.seen_unlocked |= sessions.iter().any(|session| session.is_persons);
            if self.seen_unlocked && !presence.unlocked_once.holds {
                presence.unlocked_once = sight(true, format!("{SERVICE}: it was unlocked before"));
            }
        }
        presence
    }

    fn ask(&mut self, root: &Path, now: Now, patience: Patience) -> Seats {
        self.resting = None;
        match self.sessions(root, patience.answer) {
            Ok(sessions) => Seats::Known(sessions),
            Err(no_answer) => {
                self.bus = None;
                let why = said(&no_answer);
                self.resting = Some((now.uptime + patience.rest, why.clone()));
                Seats::Unknown(why)
            }
        }
    }

    fn sessions(&mut self, root: &Path, patience: Duration) -> Result<Vec<Session>, NoAnswer> {
        let mut bus = match self.bus.take() {
            Some(bus) => bus,
            None => Bus::connect(&root.join(SOCKET), patience)?,
        };
        let mut sessions = Vec::new();
        for (name, seat, object) in list(&mut bus)?.into_iter().take(MOST) {
            match properties(&mut bus, &object) {
                Ok(session) => sessions.push(Session { name, seat, ..session }),
                // It ended meanwhile.
                Err(NoAnswer::Refused(_)) => {}
                Err(no_answer) => return Err(no_answer),
            }
        }
        self.bus = Some(bus);
        Ok(sessions)
    }
}

/// The sessions that have a seat: name, seat, object.
fn list(bus: &mut Bus) -> Result<Vec<(String, String, String)>, NoAnswer> {
    let mut body = bus.ask(Question {
        service: SERVICE,
        object: "/org/freedesktop/login1",
        interface: "org.freedesktop.login1.Manager",
        method: "ListSessions",
        argument: None,
    })?;
    let one = |body: &mut Body| {
        let (name, _person, _login, seat, object) =
            (body.text()?, body.number()?, body.text()?, body.text()?, body.text()?);
        Some((name, seat, object))
    };
    let mut sessions = body.array(one).ok_or(NoAnswer::Garbled)?;
    sessions.retain(|(_, seat, _)| !seat.is_empty());
    Ok(sessions)
}

fn properties(bus: &mut Bus, object: &str) -> Result<Session, NoAnswer> {
    let mut body = bus.ask(Question {
        service: SERVICE,
        object,
        interface: "org.freedesktop.DBus.Properties",
        method: "GetAll",
        argument: Some(SESSION),
    })?;
    let mut session = Session {
        name: String::new(),
        seat: String::new(),
        is_persons: false,
        is_active: false,
        is_idle: false,
        is_locked: false,
    };
    let properties = body.array(|body| Some((body.text()?, body.variant()?))).ok_or(NoAnswer::Garbled)?;
    for (name, value) in properties {
        match (name.as_str(), value) {
            // `user`, and its variants for those who log in early or lightly.
            ("Class", Value::Text(class)) => session.is_persons = class.starts_with("user"),
            ("Active", Value::Bool(value)) => session.is_active = value,
            ("IdleHint", Value::Bool(value)) => session.is_idle = value,
            ("LockedHint", Value::Bool(value)) => session.is_locked = value,
            _ => {}
        }
    }
    Ok(session)
}

fn said(no_answer: &NoAnswer) -> String {
    match no_answer {
        NoAnswer::Silent(std::io::ErrorKind::NotFound) => format!("no /{SOCKET}"),
        NoAnswer::Silent(std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
            format!("{SERVICE} does not answer in time")
        }
        NoAnswer::Silent(kind) => format!("/{SOCKET}: {kind}"),
        NoAnswer::Refused(error) => format!("{SERVICE}: {error}"),
        NoAnswer::Garbled => format!("{SERVICE}: its answer makes no sense"),
    }
}

impl Session {
    /// Whether its person sits there. A locked one is left alone, though some desktops tell nobody that it is idle.
    fn is_used(&self) -> bool {
        self.is_persons && self.is_active && !self.is_idle && !self.is_locked
    }

    fn says(&self, what: &str) -> String {
        let Session { name, seat, .. } = self;
        format!("{SERVICE}: session {name} at {seat} is {what}")
    }
}

impl Seats {
    fn presence(&self) -> Presence {
        let sessions = match self {
            Seats::Known(sessions) => sessions,
            Seats::Unknown(why) => {
                let assumed = |what: &str| sight(true, format!("assumed: {what} ({why})"));
                return Presence {
                    unused: assumed("nobody sits here"),
                    unlocked_once: assumed("nobody locks this machine"),
                    unlocked: assumed("nobody locks this machine"),
                };
            }
        };
        let first = |wanted: fn(&Session) -> bool| sessions.iter().find(|session| wanted(session));
        let unused = match (first(Session::is_used), first(|session| session.is_persons && session.is_active)) {
            (Some(session), _) => sight(false, session.says("in use")),
            (None, Some(session)) if session.is_locked => sight(true, session.says("locked")),
            (None, Some(session)) => sight(true, session.says("idle")),
            (None, None) => sight(true, format!("{SERVICE}: nobody sits here")),
        };
        let persons = first(|session| session.is_persons);
        let open = first(|session| session.is_persons && session.is_active && !session.is_locked);
        let unlocked = match (open, persons.or(sessions.first())) {
            (Some(session), _) => sight(true, session.says("unlocked")),
            (None, Some(session)) if session.is_persons && session.is_locked => sight(false, session.says("locked")),
            (None, Some(session)) if session.is_persons => sight(false, session.says("in the background")),
            (None, Some(session)) => sight(false, session.says("a screen to log in")),
            (None, None) => sight(true, format!("{SERVICE}: nobody locks this machine")),
        };
        let unlocked_once = match persons {
            Some(session) => sight(true, session.says("somebody's")),
            None => unlocked.clone(),
        };
        Presence { unused, unlocked_once, unlocked }
    }
}

/// A small server of the bus and the login manager behind it, at the real socket's place below `root`.
#[cfg(test)]
pub(super) mod served;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conditions::linux::recorded, rules::Timestamp};
    use served::{Answers, Manners, Said, serve};

    const PATIENCE: Patience = Patience { answer: Duration::from_secs(20), rest: Duration::from_secs(60) };

    fn at(second: u64) -> Now {
        Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::from_secs(second) }
    }

    fn said(class: &'static str, seat: &'static str, active: bool, idle: bool, locked: bool) -> Said {
        Said { class, seat, active, idle, locked }
    }

    #[test]
    fn who_sits_here_follows_from_the_sessions() {
        let ada = |active, idle, locked| said("user", "seat0", active, idle, locked);
        let greeter = said("greeter", "seat0", true, false, false);
        let remote = said("user", "", true, false, false);
        // What holds: nobody uses it, unlocked once, unlocked; and a piece of the source of each.
        type Case<'a> = (&'a str, Vec<Said>, [(bool, &'a str); 3]);
        let cases: [Case<'_>; 9] = [
            (
                "somebody works",
                vec![ada(true, false, false)],
                [
                    (false, "session 0 at seat0 is in use"),
                    (true, "somebody's"),
                    (true, "session 0 at seat0 is unlocked"),
                ],
            ),
            (
                "somebody went away",
                vec![ada(true, true, false)],
                [(true, "is idle"), (true, ""), (true, "is unlocked")],
            ),
            (
                "a desktop that tells of its lock alone",
                vec![ada(true, false, true)],
                [(true, "is locked"), (true, "somebody's"), (false, "is locked")],
            ),
            (
                "a login from elsewhere",
                vec![remote],
                [(true, "nobody sits here"), (true, "nobody locks"), (true, "nobody locks this machine")],
            ),
            ("nobody", vec![], [(true, "nobody sits here"), (true, "nobody locks"), (true, "nobody locks")]),
            (
                "a screen to log in",
                vec![greeter],
                [(true, "nobody sits here"), (false, "a screen to log in"), (false, "a screen to log in")],
            ),
            (
                "somebody in the background of a screen to log in",
                vec![greeter, ada(false, false, false)],
                [(true, "nobody sits here"), (true, "session 1 at seat0"), (false, "in the background")],
            ),
            (
                "two seats, one locked",
                vec![ada(true, true, true), said("user", "seat1", true, false, false)],
                [(false, "session 1 at seat1 is in use"), (true, ""), (true, "session 1 at seat1 is unlocked")],
            ),
            (
                "an early login",
                vec![said("user-early", "seat0", true, false, false)],
                [(false, "is in use"), (true, ""), (true, "is unlocked")],
            ),
        ];
        for (case, sessions, expected) in cases {
            let root = recorded(&[]);
            let _served = serve(root.path(), Answers::Sessions(sessions), Manners::Good);
            let Presence { unused, unlocked_once, unlocked } = Sessions::default().look(root.path(), at(0), PATIENCE);
            for (seen, (holds, source)) in [unused, unlocked_once, unlocked].iter().zip(expected) {
                assert_eq!(seen.holds, holds, "{case}: {seen:?}");
                assert!(seen.source.contains(source), "{case}: {seen:?}");
            }
        }
    }

    #[test]
    fn one_connection_serves_all_looks_and_sees_what_changes() {
        let root = recorded(&[]);
        let served = serve(root.path(), Answers::Sessions(vec![]), Manners::Good);
        let mut sessions = Sessions::default();
        let steps = [
            (vec![said("greeter", "seat0", true, false, false)], (true, false, false)),
            (vec![said("user", "seat0", true, false, false)], (false, true, true)),
            (vec![said("user", "seat0", true, false, true)], (true, true, false)),
            // That it was unlocked is remembered when everybody has logged out.
            (vec![said("greeter", "seat0", true, false, false)], (true, true, false)),
        ];
        for (second, (answers, expected)) in (0..).zip(steps) {
            served.change(Answers::Sessions(answers));
            let Presence { unused, unlocked_once, unlocked } = sessions.look(root.path(), at(second), PATIENCE);
            assert_eq!((unused.holds, unlocked_once.holds, unlocked.holds), expected, "at {second}");
        }
        assert_eq!(served.connections(), 1);
    }

    #[test]
    fn no_answer_means_that_nobody_is_known_and_says_why() {
        let short = Patience { answer: Duration::from_millis(20), ..PATIENCE };
        let cases = [
            ("no login manager", Answers::Refused, Manners::Good, PATIENCE, "ServiceUnknown"),
            ("no welcome", Answers::Refused, Manners::Rejects, PATIENCE, "makes no sense"),
            ("silence", Answers::Refused, Manners::Silent, short, "does not answer in time"),
            ("nonsense", Answers::Refused, Manners::Nonsense, PATIENCE, "makes no sense"),
            ("a service that hangs up", Answers::Refused, Manners::HangsUp, PATIENCE, "end of file"),
        ];
        for (case, answers, manners, patience, source) in cases {
            let root = recorded(&[]);
            let _served = serve(root.path(), answers, manners);
            let Presence { unused, unlocked_once, unlocked } = Sessions::default().look(root.path(), at(0), patience);
            for seen in [unused, unlocked_once, unlocked] {
                assert!(seen.holds && seen.source.starts_with("assumed: "), "{case}: {seen:?}");
                assert!(seen.source.contains(source), "{case}: {seen:?}");
            }
        }
    }

    #[test]
    fn who_did_not_answer_is_left_alone_for_a_while() {
        let root = recorded(&[]);
        let mut sessions = Sessions::default();
        let mut look = |second| sessions.look(root.path(), at(second), PATIENCE).unused;
        assert!(look(0).source.contains("no /run/dbus/system_bus_socket"));
        let served =
            serve(root.path(), Answers::Sessions(vec![said("user", "seat0", true, false, false)]), Manners::Good);
        assert!(look(59).holds, "not asked again yet");
        assert_eq!(served.connections(), 0);
        assert!(!look(60).holds);
        assert_eq!(served.connections(), 1);
    }
}
