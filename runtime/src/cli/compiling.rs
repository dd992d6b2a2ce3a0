//! Shows on stderr what is compiled while a command waits for its answer: a living line on a terminal, one plain line elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    pin::pin,
};

use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::{
    display::{LONG_TO_COMPILE, TICK, style},
    human,
    output::{Output, legible},
};
use crate::api::{Client, wire};

/// Waits for `answer`. A program that reads JSON is shown nothing.
pub(super) async fn shown<T>(client: &Client, out: &Output, answer: impl Future<Output = T>) -> T {
    if out.json {
        return answer.await;
    }
    // Without events there is nothing to show; what is wrong, the answer says.
    let Ok(mut events) = client.events().await else { return answer.await };
    let mut bar = None;
    let mut answer = pin!(answer);
    loop {
        tokio::select! {
            biased;
            Some(event) = events.next() => follow(&event.what, &mut bar),
            answer = &mut answer => {
                end(bar);
                return answer;
            }
        }
    }
}

fn follow(what: &wire::What, bar: &mut Option<ProgressBar>) {
    match what {
        wire::What::Compiling { bundle, version, bytes } => {
            end(bar.take());
            let line = legible(&format!("compiling {bundle} {version} ({})", human::size(*bytes)));
            if io::stderr().is_terminal() {
                let living = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
                    .with_style(style("{spinner} {msg}  {elapsed}"))
                    .with_message(line);
                living.enable_steady_tick(TICK);
                *bar = Some(living);
            } else if *bytes >= LONG_TO_COMPILE {
                // Who closed stderr wants to hear nothing.
                let _ = writeln!(io::stderr(), "{line}");
            }
        }
        wire::What::Compiled { .. } | wire::What::NotCompiled { .. } => end(bar.take()),
        wire::What::BundleInstalled { .. }
        | wire::What::BundleRolledBack { .. }
        | wire::What::BundleSigned { .. }
        | wire::What::DataDropped { .. }
        | wire::What::BundleEnabled { .. }
        | wire::What::BundleDisabled { .. }
        | wire::What::GrantsChanged { .. }
        | wire::What::Enrolled { .. }
        | wire::What::EnrolmentWithdrawn { .. }
        | wire::What::BundleUninstalled { .. }
        | wire::What::Submitted { .. }
        | wire::What::Waiting { .. }
        | wire::What::Cancelled { .. }
        | wire::What::Launched { .. }
        | wire::What::Progressed { .. }
        | wire::What::Titled { .. }
        | wire::What::Suspended { .. }
        | wire::What::Resumed { .. }
        | wire::What::Attached { .. }
        | wire::What::Detached { .. }
        | wire::What::Expiring { .. }
        | wire::What::Ended { .. }
        | wire::What::ConditionChanged { .. }
        | wire::What::Schedule { .. }
        | wire::What::Missed { .. } => {}
    }
}

fn end(bar: Option<ProgressBar>) {
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}
