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
    use std::{error::Error, path::Path};

    use idlewild_guest::{SubmitError, Task};

    use super::{PAUSE, next_count, next_refresh};
    use crate::{
        count::{self, Counted},
        page,
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
    fn image_count(task: &Task) -> Result<Vec<u8>, Box<dyn Error>> {
        next_count().earliest_begin_in(PAUSE).submit()?;
        let counted = count::count(Path::new("/gallery"), &Memory::new("/data"), task)?;
        match &counted {
            Counted::Whole(summary) => summary.notes.iter().for_each(|note| println!("{note}")),
            Counted::Stopped { reason, .. } => println!("stopped early: {reason}; the next launch goes on from here"),
        }
        Ok(serde_json::to_vec(&counted)?)
    }

    /// Writes `/album/index.html`; its output tells in JSON what is on it.
    #[handler("com.example.gallery.refresh")]
    fn refresh(_: &Task) -> Result<Vec<u8>, Box<dyn Error>> {
        next_refresh().earliest_begin_in(PAUSE).submit()?;
        let seen =
            Memory::new("/data").last_count()?.ok_or("there is nothing to show before the first count has ended")?;
        let shown = page::write_album(Path::new("/album"), &seen)?;
        println!("wrote index.html with {} pictures", shown.pictures);
        Ok(serde_json::to_vec(&shown)?)
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
