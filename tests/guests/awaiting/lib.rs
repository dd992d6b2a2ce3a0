//! What only an asynchronous guest can do, and the ways of WASI 0.3 into the world: written by hand on the bare bindings, so that
//! nothing stands between a test and the host.

#![allow(unsafe_code, unreachable_pub, unused_qualifications, dead_code, reason = "generated")]

mod given;

use std::{
    future::{Future, pending, poll_fn},
    hint::black_box,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use idlewild::background_tasks::{expiration, task};
use wasi::clocks::monotonic_clock;

wit_bindgen::generate!({
    path: ["../../wit", "awaiting"],
    world: "test:awaiting/awaiting",
    generate_all,
});

const MILLISECOND: u64 = 1_000_000;

struct Awaiting;

impl exports::idlewild::background_tasks::registration::Guest for Awaiting {
    fn register() -> Vec<String> {
        vec!["test.awaiting.*".to_owned()]
    }

    fn activate() -> Result<(), String> {
        Ok(())
    }
}

impl exports::idlewild::background_tasks::async_handler::Guest for Awaiting {
    async fn launch(identifier: String, input: Vec<u8>) -> Result<Vec<u8>, String> {
        let said = match identifier.strip_prefix("test.awaiting.") {
            Some("work-or-end") => work_or_end(&input).await?,
            Some("waits-again") => waits_again().await,
            Some("computes-then-waits") => computes_then_waits().await,
            Some("awaits-for-ever") => awaits_for_ever().await,
            Some("awaits-nothing") => pending().await,
            Some("ignores-its-end") => ignores_its_end().await,
            Some("spins-while-it-waits") => spins_while_it_waits().await,
            Some("waits-without-end") => waits_without_end().await,
            Some("traps-while-it-waits") => traps_while_it_waits().await,
            Some("is-denied") => given::is_denied().await,
            Some("copies") => given::copies(&input).await?,
            Some("prints") => given::prints(&input).await,
            _ => return Err(format!("no such behaviour: {identifier}")),
        };
        Ok(said.into_bytes())
    }
}

#[cfg(target_family = "wasm")]
export!(Awaiting);

/// Which of two came first. The other is dropped, and with it what it asked of the host.
enum First<A, B> {
    Left(A),
    Right(B),
}

async fn first<A, B>(left: impl Future<Output = A>, right: impl Future<Output = B>) -> First<A, B> {
    let (mut left, mut right) = (pin!(left), pin!(right));
    poll_fn(|context| match left.as_mut().poll(context) {
        Poll::Ready(left) => Poll::Ready(First::Left(left)),
        Poll::Pending => right.as_mut().poll(context).map(First::Right),
    })
    .await
}

/// Works for as many milliseconds as its input says, and tidies up if it is asked to stop before.
async fn work_or_end(input: &[u8]) -> Result<String, String> {
    let milliseconds: u64 = String::from_utf8_lossy(input).parse().map_err(|_| "the input is no number".to_owned())?;
    match first(monotonic_clock::wait_for(milliseconds * MILLISECOND), expiration::wait()).await {
        First::Left(()) => Ok("worked".to_owned()),
        First::Right(reason) => {
            task::save_checkpoint(b"as far as I came")?;
            Ok(format!("tidied: {reason:?}"))
        }
    }
}

/// Once it was asked, every wait answers at once, and so does the question.
async fn waits_again() -> String {
    let told = [expiration::wait().await, expiration::wait().await];
    let asked = task::expiration().expect("it was asked");
    format!("{told:?} {asked:?}")
}

/// Computes for a while between two waits, and gives back what fuel it had then and then.
async fn computes_then_waits() -> String {
    let mut readings = vec![task::fuel_remaining()];
    for _ in 0..3 {
        monotonic_clock::wait_for(MILLISECOND).await;
        let mut state = 1_u64;
        for _ in 0..5_000_000 {
            state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
        readings.push(task::fuel_remaining());
    }
    readings.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// Awaits what comes in some hundred years, and nothing else.
async fn awaits_for_ever() -> String {
    monotonic_clock::wait_for(u64::MAX / 4).await;
    "a hundred years have passed".to_owned()
}

/// Sees that it should stop, and awaits on.
async fn ignores_its_end() -> ! {
    let reason = expiration::wait().await;
    black_box(reason);
    loop {
        monotonic_clock::wait_for(MILLISECOND).await;
    }
}

/// Waits and computes at once: while it computes its wait cannot come to anything.
async fn spins_while_it_waits() -> ! {
    let mut waiting = pin!(expiration::wait());
    poll_fn(|context| {
        assert!(waiting.as_mut().poll(context).is_pending(), "it is not asked yet");
        Poll::Ready(())
    })
    .await;
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Begins one wait after another and keeps them all.
async fn waits_without_end() -> ! {
    let mut waits: Vec<Pin<Box<dyn Future<Output = expiration::ExpirationReason>>>> = Vec::new();
    poll_fn(|context: &mut Context<'_>| {
        loop {
            let mut wait = Box::pin(expiration::wait());
            assert!(wait.as_mut().poll(context).is_pending(), "it is not asked yet");
            waits.push(wait);
        }
    })
    .await
}

async fn traps_while_it_waits() -> ! {
    let trap = async {
        monotonic_clock::wait_for(MILLISECOND).await;
        panic!("trapped on purpose, while waiting");
    };
    match first(expiration::wait(), trap).await {
        First::Left(reason) => panic!("asked to stop: {reason:?}"),
        First::Right(never) => never,
    }
}
