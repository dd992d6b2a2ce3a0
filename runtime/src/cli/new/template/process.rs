//! The handlers of the bundle `{{id}}`.

#[idlewild_guest::bundle]
mod tasks {
    use std::{error::Error, time::Duration};

    use idlewild_guest::{Request, SubmitError, Task};

    const STEPS: u64 = 1_000;

    /// Asks for the next run. The host calls it when the bundle is installed, and whenever nothing of it is pending.
    #[activate]
    fn schedule() -> Result<(), SubmitError> {
        Request::processing("{{identifier}}"){{requires}}.submit()?;
        Ok(())
    }

    /// Runs while the machine is idle, for some minutes at most. What it returns is kept with the task.
    #[handler("{{identifier}}")]
    async fn process(task: Task) -> Result<String, Box<dyn Error>> {
        let done = match task.checkpoint() {
            Some(checkpoint) => String::from_utf8(checkpoint)?.parse()?,
            None => 0,
        };
        let mut progress = task.progress(STEPS);
        progress.advance(done);
        for step in done..STEPS {
            // Somebody needs the machine: keep what is done, and go on from there next time.
            if let Some(reason) = task.expiration() {
                task.save_checkpoint(step.to_string())?;
                schedule()?;
                return Err(format!("stopped after {step} steps: {reason}").into());
            }
            work(step);
            progress.advance(1);
        }
        let pause = Duration::from_secs({{seconds}});
        Request::processing("{{identifier}}"){{requires}}.earliest_begin_in(pause).submit()?;
        Ok(format!("{STEPS} steps done"))
    }

    /// Here one step of the work is done.
    fn work(step: u64) {
        std::hint::black_box((0..step).sum::<u64>());
    }
}

#[cfg(test)]
mod tests {
    use idlewild_guest::{
        ExpirationReason,
        test::{Condition, Host, When},
    };

    use super::tasks;

    fn idle_host() -> Host {
        let mut host = Host::new(tasks::bundle());
        for condition in [Condition::Idle, Condition::Network, Condition::ExternalPower] {
            host.state(condition, true);
        }
        host.activate().expect("the first request is accepted");
        host
    }

    #[test]
    fn does_all_steps_and_asks_to_run_again() {
        let mut host = idle_host();
        assert_eq!(host.run_next().outcome.text(), "1000 steps done");
        assert_eq!(host.pending().len(), 1, "the next run is asked for");
    }

    #[test]
    fn goes_on_where_it_was_stopped() {
        let mut host = idle_host();
        host.expire("{{identifier}}", When::Asked(400), ExpirationReason::ConditionsLost);
        host.run_next();
        assert!(host.checkpoint("{{identifier}}").is_some(), "what was done is kept");
        assert_eq!(host.run_next().outcome.text(), "1000 steps done");
    }
}
