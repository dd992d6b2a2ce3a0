//! Inputs and outputs of the author's own types.

#![cfg(feature = "json")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use idlewild_guest::{Request, test::Host};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Resize {
    picture: String,
    width: u32,
}

#[idlewild_guest::bundle]
mod tasks {
    use std::collections::BTreeMap;

    use idlewild_guest::{Json, Task};

    use super::Resize;

    #[handler("test.json.resize")]
    async fn resize(task: Task, Json(resize): Json<Resize>) -> Result<Json<Resize>, String> {
        let picture = format!("{} by task {}", resize.picture, task.id());
        Ok(Json(Resize { picture, width: resize.width / 2 }))
    }

    #[handler("test.json.unwritable")]
    fn unwritable() -> Json<BTreeMap<Vec<u8>, u8>> {
        Json(BTreeMap::from([(Vec::new(), 0)]))
    }
}

#[test]
fn a_handler_takes_and_gives_values() {
    let resize = Resize { picture: "a.png".to_owned(), width: 640 };
    let request = Request::app_refresh("test.json.resize").input_json(&resize).unwrap();
    let resized: Resize = Host::new(tasks::BUNDLE).launch(request).json();
    assert_eq!(resized, Resize { picture: "a.png by task 1".to_owned(), width: 320 });
}

#[test]
fn an_input_that_is_something_else_fails_the_task_and_says_where() {
    for (input, message) in [
        (
            "{\n  \"picture\": \"a.png\",\n  \"width\": -1\n}",
            "invalid value: integer `-1`, expected u32 at line 3 column 13",
        ),
        ("{\"picture\": \"a.png\"}", "missing field `width` at line 1 column 20"),
        ("", "EOF while parsing a value at line 1 column 0"),
    ] {
        let ended = Host::new(tasks::BUNDLE).launch(Request::app_refresh("test.json.resize").input(input));
        let expected = format!("failed: the input of test.json.resize is not what it takes: {message}");
        assert_eq!(ended.outcome.to_string(), expected);
    }
}

#[test]
fn what_cannot_be_written_says_so() {
    let map = std::collections::BTreeMap::from([(vec![0_u8], 0_u8)]);
    assert!(Request::app_refresh("test.json.resize").input_json(&map).is_err());
    let ended = Host::new(tasks::BUNDLE).launch(Request::app_refresh("test.json.unwritable"));
    assert!(
        ended.outcome.to_string().starts_with("failed: the output cannot be written as JSON: "),
        "{}",
        ended.outcome
    );
}
