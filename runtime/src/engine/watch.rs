//! One call as seen from outside its guest: how it is asked to stop, stopped, and heard.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::rules::{ExpirationReason, Progress};

use super::{gate::Seat, meter::Tally};

/// Shared between a call, the timers and whoever expires it.
pub(super) struct Watch {
    pub(super) seat: Arc<Seat>,
    pub(super) tally: Arc<Tally>,
    /// Uptime in nanoseconds at which the call is stopped; the largest number means never.
    stop_at: AtomicU64,
    expiration: Mutex<Option<ExpirationReason>>,
    /// Rings when there is an expiration.
    bell: Notify,
    reports: Mutex<Reports>,
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
            stop_at: AtomicU64::new(u64::MAX),
            expiration: Mutex::new(None),
            bell: Notify::new(),
            reports: Mutex::new(Reports { hear, interval, last_heard: None, titles: None, progress: None }),
        })
    }

    /// Lets the guest see `reason`. The first one stays.
    pub(super) fn expire(&self, reason: ExpirationReason) {
        self.expiration.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.bell.notify_waiters();
    }

    pub(super) fn expiration(&self) -> Option<ExpirationReason> {
        *self.expiration.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Brings the stop forward to `uptime`; it is never put off.
    pub(super) fn stop_no_later_than(&self, uptime: Duration) {
        self.stop_at.fetch_min(u64::try_from(uptime.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    pub(super) fn stop_at(&self) -> Option<Duration> {
        match self.stop_at.load(Ordering::SeqCst) {
            u64::MAX => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
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

    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
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
        sync::atomic::AtomicBool,
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
        watch.expire(ExpirationReason::Cancelled);
        assert!(woken.0.load(Ordering::SeqCst));
        watch.expire(ExpirationReason::HostStopping);
        assert_eq!(waits.as_mut().poll(&mut context), Poll::Ready(ExpirationReason::Cancelled));
        assert_eq!(pin!(watch.expired()).poll(&mut context), Poll::Ready(ExpirationReason::Cancelled));
    }

    #[test]
    fn a_stop_is_brought_forward_and_never_put_off() {
        let watch = Watch::new(seat(), Duration::ZERO, None);
        assert_eq!(watch.stop_at(), None);
        for (asked, then) in [(9, 9), (12, 9), (4, 4)] {
            watch.stop_no_later_than(Duration::from_secs(asked));
            assert_eq!(watch.stop_at(), Some(Duration::from_secs(then)));
        }
    }
}
