//! The machine's own time.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::{self, Errno},
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime},
};

use super::{Clock, Until};
use crate::rules::{Now, Timestamp};

/// Wall time from the system, uptime since `start`.
///
/// Uptime never goes back and does not count the machine's sleep, so a closed lid uses up nobody's limit or grace. The
/// wall clock does count it. On resume the kernel moves the wall clock against the monotonic one, which cancels the
/// timer exactly as setting the clock by hand does: one descriptor tells of both, and no timer on the boot-time clock is
/// needed. (Leases, which must count sleep, will want one.)
///
/// A wait costs no wake-up that is not one of its reasons to end. It is meant for one waiting thread.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    /// Readable when a nudge is pending.
    bell: OwnedFd,
    rung: AtomicBool,
    /// Readable when the wall deadline has come or the wall clock has jumped. Always armed, so that a jump between two
    /// waits ends the second.
    wall_timer: OwnedFd,
}

/// The wall timer's setting when there is no wall deadline: the year 2200, in seconds. It stays armed to notice jumps.
const FAR_FUTURE: i64 = 7_258_118_400;

impl SystemClock {
    /// Panics when the kernel has no descriptors left to give.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Arc<SystemClock> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("the kernel gives an eventfd");
        let wall_timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
            .expect("the kernel gives a timerfd");
        let clock = SystemClock { started: Instant::now(), bell, rung: AtomicBool::new(false), wall_timer };
        clock.arm(None);
        Arc::new(clock)
    }

    /// Sets the wall timer. Says whether the wall clock has jumped since it was last set.
    fn arm(&self, deadline: Option<Timestamp>) -> bool {
        // A zero setting would disarm the timer; a deadline that early has passed anyway.
        let setting = match deadline {
            None => Timespec { tv_sec: FAR_FUTURE, tv_nsec: 0 },
            Some(at) if at.as_second() < 1 => Timespec { tv_sec: 1, tv_nsec: 0 },
            Some(at) => Timespec { tv_sec: at.as_second().min(FAR_FUTURE), tv_nsec: at.subsec_nanosecond().into() },
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: setting };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        match timerfd_settime(&self.wall_timer, flags, &once) {
            Ok(_) => false,
            // The new setting stands nevertheless.
            Err(Errno::CANCELED) => true,
            Err(error) => unreachable!("a timerfd refused a valid setting: {error}"),
        }
    }

    /// How long to poll for the uptime deadline; none means for ever.
    fn timeout(&self, deadline: Option<Duration>) -> Option<Timespec> {
        let left = deadline?.saturating_sub(self.started.elapsed());
        Timespec::try_from(left).ok()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Now {
        Now { wall: Timestamp::now(), uptime: self.started.elapsed() }
    }

    fn wait(&self, until: Until) {
        if self.arm(until.wall) {
            return;
        }
        let mut watched = [PollFd::new(&self.bell, PollFlags::IN), PollFd::new(&self.wall_timer, PollFlags::IN)];
        while let Err(error) = poll(&mut watched, self.timeout(until.uptime).as_ref()) {
            assert_eq!(error, Errno::INTR, "poll fails only when a signal interrupts it");
        }
        if watched[0].revents().contains(PollFlags::IN) {
            // First empty the bell, then forget it was rung: a nudge in between finds it rung and adds nothing, and
            // the caller, who looks after this wait, sees what that nudge was about.
            drain(&self.bell);
            self.rung.swap(false, Ordering::AcqRel);
        }
        if watched[1].revents().contains(PollFlags::IN) {
            drain(&self.wall_timer);
        }
    }

    fn nudge(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            io::write(&self.bell, &1u64.to_ne_bytes()).expect("an eventfd takes one more");
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the room that waits")]
    fn reach(&self, uptime: Duration) -> BoxFuture<'static, ()> {
        let deadline = self.started.checked_add(uptime);
        Box::pin(async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        })
    }
}

/// Takes what is to be read, if anything still is; a jump of the wall clock reads as an error, which is news enough.
fn drain(descriptor: &OwnedFd) {
    let _ = io::read(descriptor, &mut [0u8; 8]);
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicU64, thread};

    use super::*;

    const SHORT: Duration = Duration::from_millis(30);
    /// Longer than any of these waits takes on a busy machine.
    const LONG: Duration = Duration::from_secs(30);

    fn time_of(clock: &SystemClock, until: Until) -> Duration {
        let before = clock.now().uptime;
        clock.wait(until);
        clock.now().uptime - before
    }

    #[test]
    fn waits_for_the_earlier_deadline() {
        let clock = SystemClock::start();
        let wall = |ahead| Some(clock.now().wall + ahead);
        let uptime = |ahead| Some(clock.now().uptime + ahead);
        let cases = [
            ("wall alone", Until { wall: wall(SHORT), uptime: None }),
            ("wall first", Until { wall: wall(SHORT), uptime: uptime(LONG) }),
        ];
        for (case, until) in cases {
            let waited = time_of(&clock, until);
            assert!(waited < LONG / 2, "{case}: {waited:?}");
            assert!(clock.now().wall >= until.wall.unwrap(), "{case}");
        }
        let cases = [
            ("uptime alone", Until { wall: None, uptime: uptime(SHORT) }),
            ("uptime first", Until { wall: wall(LONG), uptime: uptime(SHORT) }),
        ];
        for (case, until) in cases {
            let waited = time_of(&clock, until);
            assert!(waited < LONG / 2, "{case}: {waited:?}");
            assert!(clock.now().uptime >= until.uptime.unwrap(), "{case}");
        }
    }

    #[test]
    fn a_deadline_that_has_passed_ends_the_wait_at_once() {
        let clock = SystemClock::start();
        let long_ago = [Timestamp::UNIX_EPOCH, Timestamp::MIN, clock.now().wall - LONG];
        for wall in long_ago {
            assert!(time_of(&clock, Until { wall: Some(wall), uptime: None }) < LONG / 2, "{wall}");
        }
        assert!(time_of(&clock, Until { wall: None, uptime: Some(Duration::ZERO) }) < LONG / 2);
    }

    #[test]
    fn a_deadline_beyond_the_timers_range_waits_for_the_other() {
        let clock = SystemClock::start();
        let uptime = clock.now().uptime + SHORT;
        clock.wait(Until { wall: Some(Timestamp::MAX), uptime: Some(uptime) });
        assert!(clock.now().uptime >= uptime);
    }

    #[test]
    fn nudges_before_a_wait_end_it_once() {
        let clock = SystemClock::start();
        clock.nudge();
        clock.nudge();
        clock.wait(Until::default());
        let uptime = clock.now().uptime + SHORT;
        clock.wait(Until { wall: None, uptime: Some(uptime) });
        assert!(clock.now().uptime >= uptime, "the second nudge was counted");
    }

    #[test]
    fn no_nudge_is_lost_between_threads() {
        /// Waits, nudge after nudge, until `number` was told.
        fn hear(clock: &SystemClock, told: &AtomicU64, number: u64) {
            while told.load(Ordering::Relaxed) < number {
                let give_up = clock.now().uptime + LONG;
                clock.wait(Until { wall: None, uptime: Some(give_up) });
                assert!(clock.now().uptime < give_up, "nudge {number} was lost");
            }
        }

        let (here, there) = (SystemClock::start(), SystemClock::start());
        let (said, answered) = (AtomicU64::new(0), AtomicU64::new(0));
        let last = 5_000;
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 1..=last {
                    hear(&there, &said, number);
                    answered.store(number, Ordering::Relaxed);
                    here.nudge();
                }
            });
            for number in 1..=last {
                said.store(number, Ordering::Relaxed);
                there.nudge();
                there.nudge();
                hear(&here, &answered, number);
            }
        });
    }

    #[test]
    fn reaches_an_uptime() {
        let clock = SystemClock::start();
        let uptime = clock.now().uptime + SHORT;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(clock.reach(uptime));
        assert!(clock.now().uptime >= uptime);
    }
}
