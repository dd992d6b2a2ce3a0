//! A whole bundle: greets every quarter of an hour and counts how often it did.

use std::{error::Error, fs, time::Duration};

use idlewild_guest::{Request, SubmitError, Task, bundle};

bundle! {
    activate: schedule,
    "com.example.hello.greet" => greet,
}

fn schedule() -> Result<(), SubmitError> {
    Request::app_refresh("com.example.hello.greet").earliest_begin_in(Duration::from_secs(15 * 60)).submit()?;
    Ok(())
}

fn greet(task: &Task) -> Result<String, Box<dyn Error>> {
    schedule()?;
    let greetings = fs::read_to_string("/data/greetings").map_or(Ok(0), |text| text.parse::<u64>())? + 1;
    fs::write("/data/greetings", greetings.to_string())?;
    Ok(format!("hello number {greetings}, from task {}", task.id()))
}
