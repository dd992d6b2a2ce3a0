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

/// The reports of progress, thinned to a bounded rate.
struct Reports {
    hear: Option<Box<dyn Fn(Progress) + Send>>,
    interval: Duration,
    last_heard: Option<Duration>,
    waiting: Option<Progress>,
}

impl Watch {
    /// `hear` gets the reports of progress, at most one each `interval`.
    pub(super) fn new(seat: Arc<Seat>, interval: Duration, hear: Option<Box<dyn Fn(Progress) + Send>>) -> Arc<Watch> {
        Arc::new(Watch {
            seat,
            tally: Arc::default(),
            stop_at: AtomicU64::new(u64::MAX),
            expiration: Mutex::new(None),
            bell: Notify::new(),
            reports: Mutex::new(Reports { hear, interval, last_heard: None, waiting: None }),
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

    /// Says how far the call is. If it is too soon to be heard again: when it will be, for whoever owns the timers.
    pub(super) fn report(&self, now: Duration, progress: Progress) -> Option<Duration> {
        let mut reports = self.reports();
        let due = reports.last_heard.map_or(now, |last| last + reports.interval);
        if due <= now {
            reports.waiting = None;
            reports.last_heard = Some(now);
            reports.say(progress);
            return None;
        }
        let timer_runs = reports.waiting.replace(progress).is_some();
        (!timer_runs).then_some(due)
    }

    /// Passes on the report that waits, if one does.
    pub(super) fn flush(&self, now: Duration) {
        let mut reports = self.reports();
        if let Some(progress) = reports.waiting.take() {
            reports.last_heard = Some(now);
            reports.say(progress);
        }
    }

    /// Passes on the last report. Nothing is heard after that.
    pub(super) fn close(&self) {
        let mut reports = self.reports();
        if let Some(progress) = reports.waiting.take() {
            reports.say(progress);
        }
        reports.hear = None;
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reports {
    fn say(&self, progress: Progress) {
        if let Some(hear) = &self.hear {
            hear(progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::{epoch::Beat, gate::Gate};

    use super::*;

    fn seat() -> Arc<Seat> {
        Gate::new(Arc::new(Beat::new())).seat()
    }

    #[test]
    fn reports_are_thinned_and_the_last_one_is_always_heard() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        let hear = move |progress: Progress| ear.lock().expect("unpoisoned").push(progress.completed);
        let watch = Watch::new(seat(), Duration::from_millis(100), Some(Box::new(hear)));
        let at = Duration::from_millis;
        let step = |completed| Progress { completed, total: 10 };
        assert_eq!(watch.report(at(0), step(1)), None);
        assert_eq!(watch.report(at(10), step(2)), Some(at(100)));
        assert_eq!(watch.report(at(20), step(3)), None, "one timer is enough");
        watch.flush(at(100));
        assert_eq!(watch.report(at(150), step(4)), Some(at(200)));
        assert_eq!(watch.report(at(210), step(5)), None);
        watch.flush(at(211));
        assert_eq!(watch.report(at(220), step(6)), Some(at(310)));
        watch.close();
        watch.report(at(500), step(7));
        assert_eq!(*heard.lock().expect("unpoisoned"), [1, 3, 5, 6]);
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
