//! One call as seen from outside its guest: how it is asked to stop, stopped, and heard.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::rules::{ExpirationReason, Progress};

use super::{
    deadlines::{Deadlines, Due, Key},
    gate::Seat,
    meter::Tally,
};

/// Shared between a call, the timers and whoever expires or holds it.
pub(super) struct Watch {
    pub(super) seat: Arc<Seat>,
    pub(super) tally: Arc<Tally>,
    course: Mutex<Course>,
    /// Rings when there is an expiration.
    bell: Notify,
    reports: Mutex<Reports>,
}

/// How a call stands in time. Moments are the clock's uptime; they move by how long it was held.
#[derive(Default)]
struct Course {
    /// When its allowed time is over.
    allowed_until: Option<Duration>,
    /// When it is stopped.
    stop_at: Option<Duration>,
    held_since: Option<Duration>,
    expiration: Option<ExpirationReason>,
    /// The timer of its stop.
    timer: Option<Key>,
}

/// What a guest says of its work while it runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    Progress(Progress),
    Titles { title: String, subtitle: String },
}

/// Whoever hears the reports.
type Hear = Box<dyn Fn(Report) + Send>;

/// The reports, thinned together to a bounded rate. Of each sort the last one waits to be heard.
struct Reports {
    hear: Option<Hear>,
    interval: Duration,
    last_heard: Option<Duration>,
    titles: Option<Report>,
    progress: Option<Report>,
}

impl Watch {
    /// `hear` gets the reports, at most one of each sort each `interval`.
    pub(super) fn new(seat: Arc<Seat>, interval: Duration, hear: Option<Hear>) -> Arc<Watch> {
        Arc::new(Watch {
            seat,
            tally: Arc::default(),
            course: Mutex::default(),
            bell: Notify::new(),
            reports: Mutex::new(Reports { hear, interval, last_heard: None, titles: None, progress: None }),
        })
    }

    /// Allows the call to run until one moment and to be there until another.
    pub(super) fn allow(&self, allowed_until: Duration, stop_at: Duration) {
        let mut course = self.course();
        course.allowed_until = Some(allowed_until);
        course.stop_at = Some(stop_at);
    }

    /// Lets the guest see `reason`, of which the first stays, and brings its stop forward to `stop_at`; it is never put off.
    /// A call that is held goes on, so that its guest can come to an end.
    pub(super) fn expire(&self, now: Duration, reason: ExpirationReason, stop_at: Duration) {
        let mut course = self.course();
        course.go_on(now);
        course.stop_at = Some(course.stop_at.map_or(stop_at, |earlier| earlier.min(stop_at)));
        course.expiration.get_or_insert(reason);
        self.seat.resume();
        drop(course);
        self.bell.notify_waiters();
    }

    /// Holds the call, and with it its time. One that was asked to stop is not held any more.
    pub(super) fn suspend(&self, now: Duration) {
        let mut course = self.course();
        if course.expiration.is_none() {
            course.held_since.get_or_insert(now);
            self.seat.suspend();
        }
    }

    pub(super) fn resume(&self, now: Duration) {
        let mut course = self.course();
        course.go_on(now);
        self.seat.resume();
    }

    pub(super) fn expiration(&self) -> Option<ExpirationReason> {
        self.course().expiration
    }

    /// Until the guest will be asked to stop; once it was asked, until it is stopped.
    pub(super) fn time_remaining(&self, now: Duration) -> Option<Duration> {
        let course = self.course();
        let until = if course.expiration.is_some() { course.stop_at } else { course.allowed_until };
        let now = course.held_since.map_or(now, |since| since.min(now));
        until.map(|until| until.saturating_sub(now))
    }

    /// Sets the timer of the stop, in place of the one before: for where the stop stands now, and none while it is held.
    pub(super) fn arm(self: &Arc<Watch>, deadlines: &Deadlines) {
        let mut course = self.course();
        course.disarm(deadlines);
        course.timer = course.stops_at().map(|stop_at| deadlines.set(stop_at, Due::Stop, self.clone()));
    }

    /// Forgets the timer of the stop.
    pub(super) fn disarm(&self, deadlines: &Deadlines) {
        self.course().disarm(deadlines);
    }

    /// Returns once the guest is asked to stop, at once if it already was.
    pub(super) async fn expired(&self) -> ExpirationReason {
        loop {
            // It listens before it looks, so that no ring in between is missed.
            let mut ring = pin!(self.bell.notified());
            ring.as_mut().enable();
            if let Some(reason) = self.expiration() {
                return reason;
            }
            ring.await;
        }
    }

    /// Says how far the call is, or what it does. If it is too soon to be heard again: when it will be, for whoever owns the
    /// timers.
    pub(super) fn report(&self, now: Duration, report: Report) -> Option<Duration> {
        let mut reports = self.reports();
        let due = reports.last_heard.map_or(now, |last| last + reports.interval);
        let timer_runs = reports.wait();
        match report {
            Report::Progress(_) => reports.progress = Some(report),
            Report::Titles { .. } => reports.titles = Some(report),
        }
        if due <= now {
            reports.last_heard = Some(now);
            reports.say();
            return None;
        }
        (!timer_runs).then_some(due)
    }

    /// Passes on what waits to be heard, if anything does.
    pub(super) fn flush(&self, now: Duration) {
        let mut reports = self.reports();
        if reports.wait() {
            reports.last_heard = Some(now);
            reports.say();
        }
    }

    /// Passes on the last reports. Nothing is heard after that.
    pub(super) fn close(&self) {
        let mut reports = self.reports();
        reports.say();
        reports.hear = None;
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Course {
    /// None while the call is held.
    fn stops_at(&self) -> Option<Duration> {
        self.stop_at.filter(|_| self.held_since.is_none())
    }

    fn disarm(&mut self, deadlines: &Deadlines) {
        if let Some(timer) = self.timer.take() {
            deadlines.clear(timer);
        }
    }

    /// Ends the hold, if there is one: what was still allowed is allowed from now on.
    fn go_on(&mut self, now: Duration) {
        if let Some(since) = self.held_since.take() {
            let held = now.saturating_sub(since);
            for moment in [&mut self.allowed_until, &mut self.stop_at].into_iter().flatten() {
                *moment = moment.saturating_add(held);
            }
        }
    }
}

impl Reports {
    fn wait(&self) -> bool {
        self.titles.is_some() || self.progress.is_some()
    }

    fn say(&mut self) {
        for report in [self.titles.take(), self.progress.take()].into_iter().flatten() {
            if let Some(hear) = &self.hear {
                hear(report);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        task::{Context, Poll, Wake, Waker},
    };

    use crate::engine::{epoch::Beat, gate::Gate};

    use super::*;

    fn seat() -> Arc<Seat> {
        Gate::new(Arc::new(Beat::new())).seat()
    }

    #[test]
    fn reports_are_thinned_and_the_last_one_is_always_heard() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        let hear = move |report| ear.lock().expect("unpoisoned").push(report);
        let watch = Watch::new(seat(), Duration::from_millis(100), Some(Box::new(hear)));
        let at = Duration::from_millis;
        let step = |completed| Report::Progress(Progress { completed, total: 10 });
        let titles = |title: &str| Report::Titles { title: title.to_owned(), subtitle: String::new() };
        assert_eq!(watch.report(at(0), step(1)), None);
        assert_eq!(watch.report(at(10), step(2)), Some(at(100)));
        assert_eq!(watch.report(at(20), step(3)), None, "one timer is enough");
        assert_eq!(watch.report(at(30), titles("skipped")), None, "and for both sorts");
        assert_eq!(watch.report(at(40), titles("first")), None);
        watch.flush(at(100));
        assert_eq!(watch.report(at(150), step(4)), Some(at(200)));
        assert_eq!(watch.report(at(210), step(5)), None);
        watch.flush(at(211));
        assert_eq!(watch.report(at(220), step(6)), Some(at(310)));
        assert_eq!(watch.report(at(230), titles("last")), None);
        watch.close();
        watch.report(at(500), step(7));
        let expected = [step(1), titles("first"), step(3), step(5), titles("last"), step(6)];
        assert_eq!(*heard.lock().expect("unpoisoned"), expected);
    }

    #[test]
    fn who_waits_for_the_end_is_woken_and_who_comes_later_is_answered_at_once() {
        struct Woken(AtomicBool);
        impl Wake for Woken {
            fn wake(self: Arc<Woken>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let watch = Watch::new(seat(), Duration::ZERO, None);
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        let mut waits = pin!(watch.expired());
        assert_eq!(waits.as_mut().poll(&mut context), Poll::Pending);
        watch.expire(Duration::ZERO, ExpirationReason::Cancelled, Duration::ZERO);
        assert!(woken.0.load(Ordering::SeqCst));
        watch.expire(Duration::ZERO, ExpirationReason::HostStopping, Duration::ZERO);
        assert_eq!(waits.as_mut().poll(&mut context), Poll::Ready(ExpirationReason::Cancelled));
        assert_eq!(pin!(watch.expired()).poll(&mut context), Poll::Ready(ExpirationReason::Cancelled));
    }

    #[test]
    fn a_stop_is_brought_forward_and_never_put_off() {
        let watch = Watch::new(seat(), Duration::ZERO, None);
        assert_eq!(watch.course().stops_at(), None);
        for (asked, then) in [(9, 9), (12, 9), (4, 4)] {
            watch.expire(Duration::ZERO, ExpirationReason::Cancelled, Duration::from_secs(asked));
            assert_eq!(watch.course().stops_at(), Some(Duration::from_secs(then)));
        }
    }

    #[test]
    fn time_stands_still_while_a_call_is_held_and_an_expiration_ends_that() {
        let at = Duration::from_secs;
        let watch = Watch::new(seat(), Duration::ZERO, None);
        watch.allow(at(30), at(35));
        assert_eq!((watch.time_remaining(at(10)), watch.course().stops_at()), (Some(at(20)), Some(at(35))));
        watch.suspend(at(10));
        watch.suspend(at(50));
        assert_eq!((watch.time_remaining(at(60)), watch.course().stops_at()), (Some(at(20)), None));
        watch.resume(at(110));
        watch.resume(at(111));
        assert_eq!((watch.time_remaining(at(112)), watch.course().stops_at()), (Some(at(18)), Some(at(135))));
        watch.suspend(at(120));
        watch.expire(at(200), ExpirationReason::ConditionsLost, at(205));
        assert_eq!((watch.time_remaining(at(201)), watch.course().stops_at()), (Some(at(4)), Some(at(205))));
        watch.suspend(at(202));
        assert_eq!(
            (watch.time_remaining(at(203)), watch.course().stops_at()),
            (Some(at(2)), Some(at(205))),
            "it has its grace"
        );
        watch.resume(at(204));
        assert_eq!(watch.course().stops_at(), Some(at(205)));
    }
}
