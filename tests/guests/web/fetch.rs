//! Fetches what its input says, one request on a line: `METHOD URL`, then words such as `header=NAME:VALUE`, `body=BYTES`,
//! `connect=MILLISECONDS`, `first-byte=…`, `between-bytes=…`, `show=HEADER`, and `follow` for redirects. The output has a line for each.

use wasip2::{
    http::{
        outgoing_handler,
        types::{
            ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
            RequestOptions, Scheme,
        },
    },
    io::streams::StreamError,
};

const MILLISECOND: u64 = 1_000_000;
const REDIRECTS: usize = 5;
/// A longer body is told by its length.
const SHOWN: usize = 1000;

pub(crate) fn each_in_turn(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input).into_owned();
    text.lines().map(fetch).collect::<Vec<_>>().join("\n")
}

/// Begins them all before it waits for any.
pub(crate) fn all_at_once(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input).into_owned();
    let begun: Vec<_> = text.lines().map(|line| begin(&Wish::read(line))).collect();
    let told = begun.into_iter().map(|begun| match begun.and_then(finish) {
        Ok(response) => response.status().to_string(),
        Err(error) => error,
    });
    told.collect::<Vec<_>>().join("\n")
}

struct Wish<'a> {
    method: &'a str,
    url: String,
    words: Vec<&'a str>,
}

impl<'a> Wish<'a> {
    fn read(line: &'a str) -> Wish<'a> {
        let mut words = line.split(' ');
        let (method, url) = (words.next().expect("a method"), words.next().expect("a URL").to_owned());
        Wish { method, url, words: words.collect() }
    }

    fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.words.iter().filter_map(move |word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.all(key).next().map(|number| number.parse().expect("a number"))
    }
}

fn fetch(line: &str) -> String {
    let mut wish = Wish::read(line);
    let mut trail = String::new();
    for _ in 0..REDIRECTS {
        let response = match begin(&wish).and_then(finish) {
            Ok(response) => response,
            Err(error) => return trail + &error,
        };
        let location = header(&response, "location");
        match location.filter(|_| wish.words.contains(&"follow")) {
            None => return trail + &told(&wish, response),
            Some(location) => {
                trail += &format!("{} then ", response.status());
                wish.url = location;
            }
        }
    }
    trail + "too many redirects"
}

fn begin(wish: &Wish<'_>) -> Result<FutureIncomingResponse, String> {
    let headers = Fields::new();
    for header in wish.all("header") {
        let (name, value) = header.split_once(':').expect("a name and a value");
        headers.append(name, value.as_bytes()).map_err(|error| format!("{name}: {error:?}"))?;
    }
    let (scheme, rest) = wish.url.split_once("://").expect("a whole URL");
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(headers);
    request.set_method(&method(wish.method)).map_err(|()| "no such method")?;
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| "no such scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "no such authority")?;
    request.set_path_with_query(Some(path)).map_err(|()| "no such path")?;
    let options = RequestOptions::new();
    let time = |key| wish.number(key).map(|milliseconds| milliseconds * MILLISECOND);
    options.set_connect_timeout(time("connect")).expect("settable");
    options.set_first_byte_timeout(time("first-byte")).expect("settable");
    options.set_between_bytes_timeout(time("between-bytes")).expect("settable");
    let body = request.body().expect("it is taken once");
    let response = outgoing_handler::handle(request, Some(options)).map_err(said)?;
    send(&body, wish.number("body").unwrap_or_default());
    // A body that was too long is told by the response.
    OutgoingBody::finish(body, None).ok();
    Ok(response)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "CONNECT" => Method::Connect,
        "TRACE" => Method::Trace,
        other => Method::Other(other.to_owned()),
    }
}

fn send(body: &OutgoingBody, bytes: u64) {
    let stream = body.write().expect("it is taken once");
    let mut left = bytes;
    while left > 0 {
        let piece = vec![b'x'; left.min(4096) as usize];
        if stream.blocking_write_and_flush(&piece).is_err() {
            return;
        }
        left -= piece.len() as u64;
    }
}

fn finish(response: FutureIncomingResponse) -> Result<IncomingResponse, String> {
    response.subscribe().block();
    response.get().expect("it is ready").expect("it is taken once").map_err(said)
}

fn said(error: ErrorCode) -> String {
    format!("{error:?}")
}

fn header(response: &IncomingResponse, name: &str) -> Option<String> {
    response.headers().get(name).pop().map(|value| String::from_utf8_lossy(&value).into_owned())
}

/// `STATUS`, the headers wished for, and the body or how it failed.
fn told(wish: &Wish<'_>, response: IncomingResponse) -> String {
    let mut told = response.status().to_string();
    for name in wish.all("show") {
        told += &format!(" {name}={:?}", header(&response, name));
    }
    let body = response.consume().expect("it is taken once");
    let stream = body.stream().expect("it is taken once");
    let mut bytes = Vec::new();
    let failure = loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => break None,
            Err(StreamError::LastOperationFailed(error)) => {
                // A backtrace may follow, if the host's environment asks for them.
                break Some(error.to_debug_string().lines().next().unwrap_or_default().to_owned());
            }
        }
    };
    match (failure, bytes.len()) {
        (Some(failure), _) => told + " then " + &failure,
        (None, length) if length > SHOWN => format!("{told} with {length} bytes"),
        (None, _) => told + " " + &String::from_utf8_lossy(&bytes),
    }
}
