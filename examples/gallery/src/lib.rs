//! Counts the pictures of a granted folder while the machine is idle, and then writes an album page of them.

#![allow(clippy::print_stdout, reason = "a task's log is what it prints")]

mod count;
mod entries;
mod page;
mod picture;
mod seen;
mod walk;

use std::time::Duration;

use idlewild_guest::{AppRefresh, Processing, Request, Task};

use crate::count::Watcher;

const IMAGE_COUNT: &str = "com.example.gallery.image-count";
const REFRESH: &str = "com.example.gallery.refresh";
const PAUSE: Duration = Duration::from_secs(15 * 60);

#[idlewild_guest::bundle(sync)]
mod tasks {
    use std::error::Error;

    use idlewild_guest::{Json, SubmitError, Task};

    use super::{PAUSE, next_count, next_refresh};
    use crate::{
        count::{self, Counted},
        page::{self, Shown},
        seen::Memory,
    };

    #[activate]
    fn submit_both() -> Result<(), SubmitError> {
        next_count().submit()?;
        next_refresh().submit()?;
        Ok(())
    }

    /// Looks at every file of `/gallery`; its output tells in JSON what it found.
    #[handler("com.example.gallery.image-count")]
    fn image_count(task: &Task) -> Result<Json<Counted>, Box<dyn Error>> {
        next_count().earliest_begin_in(PAUSE).submit()?;
        let counted = count::count(&task.folder("gallery"), &Memory::new(task.folder("data")), task)?;
        match &counted {
            Counted::Whole(summary) => summary.notes.iter().for_each(|note| println!("{note}")),
            Counted::Stopped { reason, .. } => println!("stopped early: {reason}; the next launch goes on from here"),
        }
        Ok(Json(counted))
    }

    /// Writes `/album/index.html`; its output tells in JSON what is on it.
    #[handler("com.example.gallery.refresh")]
    fn refresh(task: &Task) -> Result<Json<Shown>, Box<dyn Error>> {
        next_refresh().earliest_begin_in(PAUSE).submit()?;
        let counted = Memory::new(task.folder("data")).last_count()?;
        let seen = counted.ok_or("there is nothing to show before the first count has ended")?;
        let shown = page::write_album(&task.folder("album"), &seen)?;
        println!("wrote index.html with {} pictures", shown.pictures);
        Ok(Json(shown))
    }
}

fn next_count() -> Request<Processing> {
    Request::processing(IMAGE_COUNT)
}

fn next_refresh() -> Request<AppRefresh> {
    Request::app_refresh(REFRESH).run_after(IMAGE_COUNT)
}

impl Watcher for Task {
    fn asks_to_stop(&self) -> Option<String> {
        self.expiration().map(|reason| reason.to_string())
    }

    fn progressed(&self, completed: u64, total: u64) {
        self.set_progress(completed, total);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use idlewild_guest::{
        ExpirationReason,
        test::{Condition, Handler, Host, Outcome, Reason, When},
    };

    use super::*;

    /// A host on which the gallery is installed, with the folder granted and an album to write to.
    fn host(gallery: &Path, album: &Path) -> Host<Handler> {
        let mut host = Host::new(tasks::BUNDLE);
        host.grant("gallery", gallery);
        host.grant("album", album);
        host.activate().expect("both are permitted");
        host
    }

    #[test]
    fn counts_when_nobody_uses_the_machine_and_then_makes_the_album() {
        let (gallery, album) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        gallery_samples::make(gallery.path()).expect("samples");
        let mut host = host(gallery.path(), album.path());
        host.state(Condition::Idle, false);
        assert!(host.run_due().is_empty());
        host.state(Condition::Idle, true);

        let ended = host.run_due();
        let ran: Vec<&str> = ended.iter().map(|ended| ended.identifier.as_str()).collect();
        assert_eq!(ran, [IMAGE_COUNT, REFRESH]);
        let (counted, shown) = (ended[0].json::<serde_json::Value>(), ended[1].json::<serde_json::Value>());
        assert_eq!(counted["total"], shown["pictures"]);
        assert!(album.path().join("index.html").exists());
        let next = Reason::EarliestBegin(host.now() + PAUSE);
        assert!(host.pending().iter().all(|pending| pending.reasons.contains(&next)), "{:?}", host.pending());
    }

    #[test]
    fn a_count_that_is_stopped_holds_the_album_back() {
        let (gallery, album) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        gallery_samples::make(gallery.path()).expect("samples");
        let mut host = host(gallery.path(), album.path());
        host.expire(IMAGE_COUNT, When::Progressed(1), ExpirationReason::ConditionsLost);
        let ended = host.run_due();
        let Outcome::Expired { reason: ExpirationReason::ConditionsLost, returned: Some(Ok(output)) } =
            &ended[0].outcome
        else {
            panic!("ended otherwise: {}", ended[0].outcome)
        };
        let stopped: serde_json::Value = serde_json::from_slice(output).expect("it is JSON");
        assert_eq!(stopped["reason"], "conditions-lost");
        assert_eq!(ended.len(), 1);

        host.advance(PAUSE);
        let ran: Vec<String> = host.run_due().into_iter().map(|ended| ended.identifier).collect();
        assert_eq!(ran, [IMAGE_COUNT, REFRESH]);
    }
}
