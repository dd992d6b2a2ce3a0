//! Time that moves only when a test or an embedder moves it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{Clock, Until};
use crate::rules::{Now, Timestamp};

/// A clock that stands still until `advance` or `set_wall`. It can say what is being waited for, so that a test jumps to
/// the next wake-up instead of sleeping.
#[derive(Debug)]
pub struct ManualClock {
    hands: Arc<Mutex<Hands>>,
    moved: Condvar,
    uptime: watch::Sender<Duration>,
}

#[derive(Debug)]
struct Hands {
    now: Now,
    /// A nudge, or a jump of the wall clock, that no wait has seen yet.
    nudged: bool,
    /// What threads blocked in `wait` wait for.
    waits: BTreeMap<u64, Until>,
    /// What futures of `reach` wait for.
    reaches: BTreeMap<u64, Duration>,
    next_key: u64,
}

impl Hands {
    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}

impl ManualClock {
    /// Starts at `wall`, with an uptime of zero.
    pub fn new(wall: Timestamp) -> Arc<ManualClock> {
        let now = Now { wall, uptime: Duration::ZERO };
        let hands = Hands { now, nudged: false, waits: BTreeMap::new(), reaches: BTreeMap::new(), next_key: 0 };
        Arc::new(ManualClock {
            hands: Arc::new(Mutex::new(hands)),
            moved: Condvar::new(),
            uptime: watch::channel(Duration::ZERO).0,
        })
    }

    /// Moves wall and uptime on by `time`, ending the waits whose deadline that reaches.
    pub fn advance(&self, time: Duration) {
        let mut hands = lock(&self.hands);
        hands.now = Now { wall: hands.now.wall + time, uptime: hands.now.uptime + time };
        self.uptime.send_replace(hands.now.uptime);
        self.moved.notify_all();
    }

    /// Sets the wall clock, forwards or back, and leaves the uptime. Ends the current or next wait.
    pub fn set_wall(&self, wall: Timestamp) {
        let mut hands = lock(&self.hands);
        hands.now.wall = wall;
        hands.nudged = true;
        self.moved.notify_all();
    }

    /// How far to `advance` to reach the next deadline that anyone waits for, in `wait` or `reach`; none when nobody
    /// waits for a deadline.
    pub fn next_wake_up(&self) -> Option<Duration> {
        let hands = lock(&self.hands);
        let waits = hands.waits.values().filter_map(|until| distance(hands.now, *until));
        let reaches = hands.reaches.values().map(|uptime| uptime.saturating_sub(hands.now.uptime));
        waits.chain(reaches).min()
    }

    /// Blocks until a thread is blocked in `wait` with nothing there to end it, and says what it waits for: whoever
    /// owns that thread has done all that could be done by now.
    pub fn settled(&self) -> Until {
        let mut hands = lock(&self.hands);
        loop {
            let asleep = hands.waits.values().find(|until| !is_due(hands.now, **until)).copied();
            match asleep {
                Some(until) if !hands.nudged => return until,
                _ => hands = self.moved.wait(hands).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        lock(&self.hands).now
    }

    fn wait(&self, until: Until) {
        let mut hands = lock(&self.hands);
        let key = hands.key();
        hands.waits.insert(key, until);
        // Whoever waits for us to settle must see that we stand here.
        self.moved.notify_all();
        while !hands.nudged && !is_due(hands.now, until) {
            hands = self.moved.wait(hands).unwrap_or_else(PoisonError::into_inner);
        }
        hands.nudged = false;
        hands.waits.remove(&key);
    }

    fn nudge(&self) {
        lock(&self.hands).nudged = true;
        self.moved.notify_all();
    }

    fn reach(&self, uptime: Duration) -> BoxFuture<'static, ()> {
        let key = {
            let mut hands = lock(&self.hands);
            let key = hands.key();
            hands.reaches.insert(key, uptime);
            key
        };
        let reaching = Reaching { hands: self.hands.clone(), key };
        let mut moved = self.uptime.subscribe();
        Box::pin(async move {
            let _reaching = reaching;
            if moved.wait_for(|now| *now >= uptime).await.is_err() {
                // The clock is gone, and with it the time that would have come.
                std::future::pending().await
            }
        })
    }
}

/// Keeps a `reach` listed until it completes or is dropped.
struct Reaching {
    hands: Arc<Mutex<Hands>>,
    key: u64,
}

impl Drop for Reaching {
    fn drop(&mut self) {
        lock(&self.hands).reaches.remove(&self.key);
    }
}

/// A panic in one test thread must not hide what another would say.
fn lock(hands: &Mutex<Hands>) -> MutexGuard<'_, Hands> {
    hands.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far the earlier deadline lies ahead; zero when it has passed.
fn distance(now: Now, until: Until) -> Option<Duration> {
    let wall = until.wall.map(|at| Duration::try_from(at.duration_since(now.wall)).unwrap_or_default());
    let uptime = until.uptime.map(|at| at.saturating_sub(now.uptime));
    wall.into_iter().chain(uptime).min()
}

fn is_due(now: Now, until: Until) -> bool {
    distance(now, until) == Some(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use futures_util::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn noon() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    /// Waits in a thread; the receiver hears when the wait has ended.
    fn wait_aside(clock: &Arc<ManualClock>, until: Until) -> mpsc::Receiver<()> {
        let (ended, end) = mpsc::channel();
        let clock = clock.clone();
        thread::spawn(move || {
            clock.wait(until);
            ended.send(()).unwrap();
        });
        end
    }

    #[test]
    fn ends_a_wait_for_each_of_its_reasons() {
        type Act = fn(&ManualClock);
        let wall = Until { wall: Some(noon() + SECOND), uptime: None };
        let uptime = Until { wall: None, uptime: Some(SECOND) };
        let both = Until { wall: Some(noon() + 5 * SECOND), uptime: Some(SECOND) };
        let cases: [(&str, Until, Act); 6] = [
            ("the wall deadline", wall, |clock| clock.advance(SECOND)),
            ("the uptime deadline", uptime, |clock| clock.advance(SECOND)),
            ("the earlier of both", both, |clock| clock.advance(SECOND)),
            ("a nudge", Until::default(), |clock| clock.nudge()),
            ("a jump to the deadline", wall, |clock| clock.set_wall(noon() + 9 * SECOND)),
            ("a jump back", wall, |clock| clock.set_wall(noon() - 9 * SECOND)),
        ];
        for (case, until, act) in cases {
            let clock = ManualClock::new(noon());
            let end = wait_aside(&clock, until);
            assert_eq!(clock.settled(), until, "{case}");
            act(&clock);
            end.recv().unwrap();
        }
    }

    #[test]
    fn a_nudge_or_a_jump_before_a_wait_ends_it() {
        let clock = ManualClock::new(noon());
        clock.nudge();
        clock.wait(Until::default());
        clock.set_wall(noon() - SECOND);
        clock.wait(Until::default());
    }

    #[test]
    fn an_advance_short_of_the_deadline_wakes_nobody() {
        let clock = ManualClock::new(noon());
        let end = wait_aside(&clock, Until { wall: None, uptime: Some(2 * SECOND) });
        clock.settled();
        clock.advance(SECOND);
        clock.settled();
        assert_eq!(end.try_recv(), Err(mpsc::TryRecvError::Empty));
        assert_eq!(clock.next_wake_up(), Some(SECOND));
        clock.advance(SECOND);
        end.recv().unwrap();
        assert_eq!(clock.next_wake_up(), None);
    }

    #[test]
    fn moving_time_moves_what_it_says() {
        let clock = ManualClock::new(noon());
        clock.advance(SECOND);
        assert_eq!(clock.now(), Now { wall: noon() + SECOND, uptime: SECOND });
        clock.set_wall(noon());
        assert_eq!(clock.now(), Now { wall: noon(), uptime: SECOND });
    }

    #[test]
    fn reaches_an_uptime_by_jumping_to_the_next_wake_up() {
        let clock = ManualClock::new(noon());
        let mut near = clock.reach(SECOND);
        let mut far = clock.reach(3 * SECOND);
        assert!(near.as_mut().now_or_never().is_none());
        clock.advance(clock.next_wake_up().unwrap());
        assert!(near.now_or_never().is_some());
        assert!(far.as_mut().now_or_never().is_none());
        assert_eq!(clock.next_wake_up(), Some(2 * SECOND));
        drop(far);
        assert_eq!(clock.next_wake_up(), None);
    }
}
