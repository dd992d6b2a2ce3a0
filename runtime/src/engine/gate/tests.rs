//! The order of turns, and what becomes of a seat that is woken, held, raised and stopped in any order.

use std::{
    collections::HashSet,
    sync::{atomic::AtomicUsize, mpsc},
};

use super::*;

/// A call's name, and what its seat is like.
type Named = (&'static str, fn(&Arc<Seat>));

/// The order in which a single turn is given to calls that end at once, by their names.
fn order_of(calls: &[Named]) -> Vec<&'static str> {
    let gate = Gate::new(Arc::new(Beat::new()));
    let (sender, order) = mpsc::channel();
    for (who, prepare) in calls {
        let seat = gate.seat();
        prepare(&seat);
        let (who, sender) = (*who, sender.clone());
        gate.admit(&seat, Box::pin(async move { sender.send(who).unwrap_or(()) }));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let turns = Turns::start(gate, 1, runtime.handle()).expect("a thread");
    let order = order.iter().take(calls.len()).collect();
    drop(turns);
    order
}

fn as_newcomer(_: &Arc<Seat>) {}

fn as_veteran(seat: &Arc<Seat>) {
    seat.cut(NEWCOMER_FUEL);
}

fn raised(seat: &Arc<Seat>) {
    seat.set_foreground(true);
}

/// A veteran that yields whenever it may, and a flood of newcomers.
#[test]
fn newcomers_go_first_and_never_starve_a_veteran() {
    let newcomer: Named = ("newcomer", as_newcomer);
    let veteran: Named = ("veteran", as_veteran);
    let calls = [&[veteran][..], &[newcomer; 6]].concat();
    let expected = ["newcomer", "newcomer", "newcomer", "newcomer", "veteran", "newcomer", "newcomer"];
    assert_eq!(order_of(&calls), expected);
}

#[test]
fn the_foreground_goes_first_and_never_starves_the_background() {
    let background: [Named; 2] = [("newcomer", as_newcomer), ("veteran", as_veteran)];
    let raised: Named = ("raised", raised);
    let calls = [&background[..], &[raised; 9]].concat();
    let four = ["raised"; 4];
    let expected = [&four[..], &["newcomer"], &four, &["veteran"], &["raised"]].concat();
    assert_eq!(order_of(&calls), expected);
}

#[test]
fn a_call_that_is_raised_in_line_overtakes_there() {
    let gate = Gate::new(Arc::new(Beat::new()));
    let seats = [gate.seat(), gate.seat(), gate.seat()];
    for seat in &seats {
        gate.admit(seat, Box::pin(std::future::pending()));
    }
    seats[2].set_foreground(true);
    seats[1].set_foreground(true);
    seats[2].set_foreground(false);
    let order: Vec<_> = std::iter::from_fn(|| gate.hall().line.pop()).map(|seat| seat.number).collect();
    assert_eq!(order, [seats[1].number, seats[0].number, seats[2].number]);
}

/// What may happen to a call from outside and at its turn, in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Suspend,
    Resume,
    Wake,
    Stop,
    Raise,
    /// It gets a turn, and then waits.
    Turn,
    /// It gets a turn, its own waker is called meanwhile, and so it goes on in the same one, and then waits.
    BusyTurn,
    /// It gets a turn, and is suspended while it computes.
    SuspendedTurn,
}

const STEPS: [Step; 8] = {
    use Step::{BusyTurn, Raise, Resume, Stop, Suspend, SuspendedTurn, Turn, Wake};
    [Suspend, Resume, Wake, Stop, Raise, Turn, BusyTurn, SuspendedTurn]
};

/// A call that counts its polls, and does in them what the step says.
struct Played {
    gate: Arc<Gate>,
    seat: Arc<Seat>,
    polls: Arc<AtomicUsize>,
    step: Arc<Mutex<Option<Step>>>,
}

impl Played {
    fn new() -> Played {
        let gate = Gate::new(Arc::new(Beat::new()));
        let seat = gate.seat();
        let polls = Arc::new(AtomicUsize::new(0));
        let step = Arc::new(Mutex::new(None::<Step>));
        let call = {
            let (polls, step, seat) = (polls.clone(), step.clone(), seat.clone());
            std::future::poll_fn(move |context: &mut Context<'_>| {
                polls.fetch_add(1, Ordering::SeqCst);
                match lock(&step).take() {
                    Some(Step::BusyTurn) => context.waker().wake_by_ref(),
                    Some(Step::SuspendedTurn) => {
                        context.waker().wake_by_ref();
                        seat.suspend();
                    }
                    _ => {}
                }
                Poll::Pending
            })
        };
        gate.admit(&seat, Box::pin(call));
        Played { gate, seat, polls, step }
    }

    /// How often it was polled.
    fn take(&self, step: Step) -> usize {
        let before = self.polls.load(Ordering::SeqCst);
        match step {
            Step::Suspend => self.seat.suspend(),
            Step::Resume => self.seat.resume(),
            Step::Wake => self.seat.wake_by_ref(),
            Step::Stop => self.seat.stop(),
            Step::Raise => self.seat.set_foreground(true),
            Step::Turn | Step::BusyTurn | Step::SuspendedTurn => {
                *lock(&self.step) = Some(step);
                let next = self.gate.hall().line.pop();
                if let Some(seat) = next {
                    self.gate.turn(&seat);
                }
                *lock(&self.step) = None;
            }
        }
        self.polls.load(Ordering::SeqCst) - before
    }
}

/// What a seat must be, said without places: whether it has something to do, is held, and is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Model {
    has_work: bool,
    held: bool,
    over: bool,
}

impl Model {
    /// How often the call is polled by that.
    fn take(&mut self, step: Step) -> usize {
        let goes = self.has_work && !self.held && !self.over;
        match step {
            Step::Suspend => self.held = true,
            Step::Resume => self.held = false,
            Step::Wake => self.has_work = true,
            Step::Stop => self.over = true,
            Step::Raise => {}
            Step::Turn | Step::BusyTurn | Step::SuspendedTurn if !goes => {}
            Step::Turn => {
                self.has_work = false;
                return 1;
            }
            Step::BusyTurn => {
                self.has_work = false;
                return 2;
            }
            Step::SuspendedTurn => {
                self.held = true;
                return 1;
            }
        }
        0
    }
}

/// Every history of five steps. After each step the seat stands in line exactly if it has something to do and may.
#[test]
fn whatever_happens_to_a_seat_it_is_polled_when_it_may_and_no_wake_is_lost() {
    let mut seen = HashSet::new();
    let mut histories = vec![Vec::new()];
    for _ in 0..5 {
        histories = histories
            .iter()
            .flat_map(|history: &Vec<Step>| STEPS.iter().map(|step| [&history[..], &[*step]].concat()))
            .collect();
    }
    for history in &histories {
        let played = Played::new();
        let mut model = Model { has_work: true, held: false, over: false };
        for step in history {
            assert_eq!(played.take(*step), model.take(*step), "polls at {step:?} in {history:?}");
            let goes = model.has_work && !model.held;
            let mut hall = played.gate.hall();
            assert_eq!(hall.admitted.is_empty(), model.over, "{step:?} in {history:?}");
            if !model.over {
                let stands = hall.line.remove(&played.seat);
                assert_eq!(stands, goes, "in line after {step:?} in {history:?}");
                assert!(!hall.line.remove(&played.seat), "once, after {step:?} in {history:?}");
                if stands {
                    hall.line.push(played.seat.clone());
                }
            }
            seen.insert(model);
        }
        played.seat.stop();
    }
    assert_eq!(seen.len(), 8, "every state was reached");
}

/// Threads that suspend, resume, raise and wake calls as they like, while other threads poll them.
#[test]
fn calls_that_are_pulled_about_by_many_threads_all_come_to_their_end() {
    const CALLS: usize = 16;
    const ROUNDS: usize = 2_000;
    let gate = Gate::new(Arc::new(Beat::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (sender, ended) = mpsc::channel();
    let seats: Vec<_> = (0..CALLS)
        .map(|number| {
            let seat = gate.seat();
            let sender = sender.clone();
            let mut left = 200;
            let call = std::future::poll_fn(move |context: &mut Context<'_>| {
                if left == 0 {
                    sender.send(number).ok();
                    return Poll::Ready(());
                }
                left -= 1;
                // Some go on at once, as if they computed; others are woken from another thread.
                match left % 2 {
                    0 => context.waker().wake_by_ref(),
                    _ => {
                        let waker = context.waker().clone();
                        thread::spawn(move || waker.wake());
                    }
                }
                Poll::Pending
            });
            gate.admit(&seat, Box::pin(call));
            seat
        })
        .collect();
    let turns = Turns::start(gate, 3, runtime.handle()).expect("threads");
    thread::scope(|scope| {
        for offset in 0..3 {
            let seats = &seats;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let seat = &seats[(round * 7 + offset) % CALLS];
                    match (round + offset) % 4 {
                        0 => seat.suspend(),
                        1 => seat.resume(),
                        2 => seat.set_foreground(round % 8 < 4),
                        _ => seat.wake_by_ref(),
                    }
                }
            });
        }
    });
    for seat in &seats {
        seat.resume();
    }
    let mut all: Vec<_> = ended.iter().take(CALLS).collect();
    all.sort_unstable();
    assert_eq!(all, (0..CALLS).collect::<Vec<_>>());
    drop(turns);
}

#[test]
fn a_stop_reaches_a_call_that_waits_and_one_that_never_began() {
    struct Told(mpsc::Sender<&'static str>, &'static str);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(self.1).ok();
        }
    }
    let gate = Gate::new(Arc::new(Beat::new()));
    let (sender, ended) = mpsc::channel();
    let never = |who| {
        let told = Told(sender.clone(), who);
        Box::pin(async move {
            let _told = told;
            std::future::pending::<()>().await;
        })
    };
    let [unbegun, waiting, late] = [gate.seat(), gate.seat(), gate.seat()];
    gate.admit(&unbegun, never("never began"));
    unbegun.stop();
    assert_eq!(ended.try_recv(), Ok("never began"));
    gate.admit(&waiting, never("waits"));
    late.stop();
    gate.admit(&late, never("stopped before it came"));
    assert_eq!(ended.try_recv(), Ok("stopped before it came"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let turns = Turns::start(gate.clone(), 2, runtime.handle()).expect("threads");
    waiting.stop();
    assert_eq!(ended.recv(), Ok("waits"));
    gate.admit(&gate.seat(), never("is there at the closing"));
    drop(turns);
    assert_eq!(ended.try_recv(), Ok("is there at the closing"));
    gate.admit(&gate.seat(), never("comes after the closing"));
    assert_eq!(ended.try_recv(), Ok("comes after the closing"));
}
