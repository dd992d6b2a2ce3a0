//! Holds a child, so that whoever gives up waiting can end it, from any thread, before it was started or while it runs.

use std::{
    io,
    os::fd::OwnedFd,
    process::Child,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One child's.
#[derive(Debug, Default)]
pub(super) struct Leash {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    NotStarted,
    /// A descriptor of the process: its number may be another's once it has ended, this never.
    Holding(OwnedFd),
    Cut(Cut),
}

/// Why a child was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nobody waits for it any more.
    GivenUp,
    TooLong,
}

impl Leash {
    /// Starts a child, unless it was given up before. None: it was.
    pub(super) fn start(&self, start: impl FnOnce() -> io::Result<Child>) -> io::Result<Option<Child>> {
        let mut state = self.state();
        match *state {
            State::NotStarted => {}
            State::Holding(_) | State::Cut(_) => return Ok(None),
        }
        let mut child = start()?;
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(descriptor) => *state = State::Holding(descriptor),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error.into());
            }
        }
        Ok(Some(child))
    }

    /// Ends the child. What was the first reason stays it.
    pub(super) fn cut(&self, why: Cut) {
        let mut state = self.state();
        match &*state {
            State::NotStarted => {}
            State::Holding(descriptor) => {
                // It may have ended just now.
                let _ = pidfd_send_signal(descriptor, Signal::KILL);
            }
            State::Cut(_) => return,
        }
        *state = State::Cut(why);
    }

    pub(super) fn why_cut(&self) -> Option<Cut> {
        match *self.state() {
            State::NotStarted | State::Holding(_) => None,
            State::Cut(why) => Some(why),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::Command};

    use super::*;

    #[test]
    fn what_is_given_up_before_its_start_is_not_started() {
        let leash = Leash::default();
        leash.cut(Cut::GivenUp);
        leash.cut(Cut::TooLong);
        assert!(leash.start(|| panic!("it was given up")).unwrap().is_none());
        assert_eq!(leash.why_cut(), Some(Cut::GivenUp));
    }

    #[test]
    fn what_runs_is_killed() {
        let leash = Leash::default();
        let mut child = leash.start(|| Command::new("sleep").arg("3600").spawn()).unwrap().unwrap();
        leash.cut(Cut::TooLong);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert_eq!(leash.why_cut(), Some(Cut::TooLong));
    }
}
