//! A whole bundle: greets every quarter of an hour and counts how often it did.

#[idlewild_guest::bundle]
mod tasks {
    use std::{error::Error, fs, time::Duration};

    use idlewild_guest::{Request, SubmitError, Task};

    #[activate]
    fn schedule() -> Result<(), SubmitError> {
        let quarter = Duration::from_secs(15 * 60);
        Request::app_refresh("com.example.hello.greet").earliest_begin_in(quarter).submit()?;
        Ok(())
    }

    #[handler("com.example.hello.greet")]
    async fn greet(task: Task) -> Result<String, Box<dyn Error>> {
        schedule()?;
        let file = task.folder("data").join("greetings");
        let greetings = fs::read_to_string(&file).map_or(Ok(0), |text| text.parse::<u64>())? + 1;
        fs::write(file, greetings.to_string())?;
        Ok(format!("hello number {greetings}, from task {}", task.id()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use idlewild_guest::test::Host;

    #[test]
    fn greets_every_quarter_of_an_hour() -> Result<(), String> {
        let mut host = Host::new(super::tasks::BUNDLE);
        host.activate()?;
        assert!(host.run_due().is_empty());
        for count in 1..4 {
            host.advance(Duration::from_secs(15 * 60));
            assert_eq!(host.run_next().text(), format!("hello number {count}, from task {count}"));
        }
        Ok(())
    }
}
