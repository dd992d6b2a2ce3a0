//! What a guest of WASI 0.3 does with what it was given by name: it fetches, and reads its environment. Written by hand on the
//! bare bindings, so that nothing stands between a test and the host.

#![allow(unsafe_code, unreachable_pub, unused_qualifications, dead_code, reason = "generated")]

use std::pin::pin;

use idlewild::background_tasks::expiration;
use wasi::{
    cli::environment,
    http::{
        client,
        types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme},
    },
};

wit_bindgen::generate!({
    path: ["../../wit", "awaiting_web"],
    world: "test:awaiting-web/awaiting-web",
    generate_all,
});

const MILLISECOND: u64 = 1_000_000;

struct Web;

impl exports::idlewild::background_tasks::registration::Guest for Web {
    fn register() -> Vec<String> {
        vec!["test.web.*".to_owned()]
    }

    fn activate() -> Result<(), String> {
        Ok(())
    }
}

impl exports::idlewild::background_tasks::async_handler::Guest for Web {
    async fn launch(identifier: String, input: Vec<u8>) -> Result<Vec<u8>, String> {
        let input = String::from_utf8_lossy(&input).into_owned();
        let said = match identifier.strip_prefix("test.web.") {
            Some("fetches") => each_in_turn(&input).await,
            Some("fetches-or-ends") => fetches_or_ends(&input).await,
            Some("prints-environment") => environment(),
            _ => return Err(format!("no such behaviour: {identifier}")),
        };
        Ok(said.into_bytes())
    }
}

#[cfg(target_family = "wasm")]
export!(Web);

fn environment() -> String {
    let mut variables: Vec<String> =
        environment::get_environment().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    variables.sort();
    variables.join("\n")
}

async fn each_in_turn(input: &str) -> String {
    let mut told = Vec::new();
    for line in input.lines() {
        told.push(fetch(line).await.unwrap_or_else(|error| format!("{error:?}")));
    }
    told.join("\n")
}

/// Awaits the response and its end together.
async fn fetches_or_ends(line: &str) -> String {
    let (mut fetched, mut asked) = (pin!(fetch(line)), pin!(expiration::wait()));
    std::future::poll_fn(|context| match fetched.as_mut().poll(context) {
        std::task::Poll::Ready(fetched) => std::task::Poll::Ready(format!("{fetched:?}")),
        std::task::Poll::Pending => asked.as_mut().poll(context).map(|reason| format!("gave up: {reason:?}")),
    })
    .await
}

/// `METHOD URL`, then words: `header=NAME:VALUE`, `body=BYTES`, `first-byte=MILLISECONDS`.
async fn fetch(line: &str) -> Result<String, ErrorCode> {
    let words: Vec<&str> = line.split(' ').collect();
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let headers = Fields::new();
    if let Some((name, value)) = value("header").and_then(|header| header.split_once(':')) {
        headers.append(name, value.as_bytes()).expect("a header that may be set");
    }
    let options = RequestOptions::new();
    let milliseconds = value("first-byte").map(|number| number.parse::<u64>().expect("a number"));
    options.set_first_byte_timeout(milliseconds.map(|number| number * MILLISECOND)).expect("settable");
    let length = value("body").map_or(0, |number| number.parse().expect("a number"));
    let (mut writer, contents) = wit_stream::new();
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (request, sent) = Request::new(headers, (length > 0).then_some(contents), trailers, Some(options));
    address(&request, words[0], words[1]);
    let writing = async move {
        if length > 0 {
            writer.write_all(vec![b'x'; length]).await;
        }
        drop(writer);
        std::future::pending::<()>().await;
    };
    let response = {
        let (mut answer, mut writing) = (pin!(client::send(request)), pin!(writing));
        std::future::poll_fn(|context| {
            let _ = writing.as_mut().poll(context);
            answer.as_mut().poll(context)
        })
        .await?
    };
    drop(sent);
    read(response).await
}

fn address(request: &Request, method: &str, url: &str) {
    let (scheme, rest) = url.split_once("://").expect("a whole URL");
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let method = if method == "POST" { Method::Post } else { Method::Get };
    request.set_method(&method).expect("a method");
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some(path)).expect("a path");
}

async fn read(response: Response) -> Result<String, ErrorCode> {
    let status = response.get_status_code();
    let (_, read) = wit_future::new(|| Ok(()));
    let (body, ended) = Response::consume_body(response, read);
    let bytes = body.collect().await;
    match ended.await {
        Ok(_) => Ok(format!("{status} {}", String::from_utf8_lossy(&bytes))),
        Err(error) => Ok(format!("{status} then {error:?}")),
    }
}
