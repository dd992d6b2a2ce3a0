//! The handlers of the bundle `{{id}}`.

#[idlewild_guest::bundle]
mod tasks {
    use std::{error::Error, fs, time::Duration};

    use idlewild_guest::{Request, SubmitError, Task};

    /// Asks for the next run. The host calls it when the bundle is installed, and whenever nothing of it is pending.
    #[activate]
    fn schedule() -> Result<(), SubmitError> {
        let pause = Duration::from_secs({{seconds}});
        Request::app_refresh("{{identifier}}").earliest_begin_in(pause).submit()?;
        Ok(())
    }

    /// Runs at a moment the host chooses, for some thirty seconds at most. What it returns is kept with the task.
    #[handler("{{identifier}}")]
    async fn refresh(task: Task) -> Result<String, Box<dyn Error>> {
        schedule()?;
        // Here the work begins: this one counts its runs, in a file that only this bundle sees.
        let file = task.folder("data").join("runs");
        let runs = fs::read_to_string(&file).map_or(Ok(0), |text| text.parse::<u64>())? + 1;
        fs::write(&file, runs.to_string())?;
        Ok(format!("run number {runs}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use idlewild_guest::test::Host;

    use super::tasks;

    #[test]
    fn runs_and_asks_to_run_again() {
        let mut host = Host::new(tasks::bundle());
        host.activate().expect("the first request is accepted");
        assert!(host.run_due().is_empty(), "it is not due yet");
        host.advance(Duration::from_secs({{seconds}}));
        let ended = host.run_next();
        assert_eq!(ended.outcome.text(), "run number 1");
        assert_eq!(host.pending().len(), 1, "the next run is asked for");
    }
}
