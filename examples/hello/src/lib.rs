//! A whole bundle: greets every quarter of an hour and counts how often it did.

#[idlewild_guest::bundle(sync)]
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
    fn greet(task: &Task) -> Result<String, Box<dyn Error>> {
        schedule()?;
        let greetings = fs::read_to_string("/data/greetings").map_or(Ok(0), |text| text.parse::<u64>())? + 1;
        fs::write("/data/greetings", greetings.to_string())?;
        Ok(format!("hello number {greetings}, from task {}", task.id()))
    }
}
