//! What a guest is given by name: origins it may speak to, configuration, secrets. Spoken with real guests of both versions of
//! WASI and a real server on loopback.

use std::{collections::BTreeMap, fs, time::Duration};

use idlewild::{
    bundle::{HttpGrant, Origin, SecretGrant, SecretHeader, SecretSource},
    clock,
    engine::{Engine, EngineSettings, World},
    rules::{Allowance, Continued, End, ExpirationReason, Kind, Request, TaskId},
};
use idlewild_tests::{Certificate, Server};

use crate::house::{Heard, House, allowance, guest, returned};

/// A house whose guest may speak to the origins.
struct Web {
    house: House,
    component: &'static str,
}

impl Web {
    fn new(origins: &[&str]) -> Web {
        Web::with(EngineSettings::default(), World::Sync, origins)
    }

    fn awaiting(origins: &[&str]) -> Web {
        Web::with(EngineSettings::default(), World::Async, origins)
    }

    fn with(settings: EngineSettings, world: World, origins: &[&str]) -> Web {
        let component = match world {
            World::Sync => "web",
            World::Async => "awaiting_web",
        };
        let mut house = House::of(world, settings);
        house.install(component, &guest(component));
        house.given.http = origins.iter().map(|origin| granted(origin, false)).collect();
        Web { house, component }
    }

    fn launch(&mut self, behaviour: &str, input: &str, allowance: Allowance) -> TaskId {
        self.house.launch_of(self.component, &format!("test.web.{behaviour}"), input.into(), allowance)
    }

    fn run(&mut self, behaviour: &str, input: &str) -> End {
        let task = self.launch(behaviour, input, allowance());
        self.house.end(task).0
    }

    /// What came of each line.
    fn fetch(&mut self, input: &str) -> String {
        match self.run("fetches", input) {
            End::Returned(Ok(output)) => String::from_utf8(output).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The log of the last task.
    fn log(&self) -> String {
        let mut logs = self.house.entries("logs");
        logs.sort();
        logs.last().map(|log| fs::read_to_string(log).unwrap()).unwrap_or_default()
    }

    fn secret(&mut self, name: &str, value: &str, header: Option<SecretHeader>) {
        let path = self.house.state.path().join(name);
        fs::write(&path, value).unwrap();
        let source = SecretSource::File(path);
        self.house.given.secrets.push(SecretGrant { name: name.to_owned(), source, header });
    }
}

fn granted(origin: &str, private: bool) -> HttpGrant {
    HttpGrant { origin: Origin::parse(origin).unwrap(), private }
}

fn at(server: &Server, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", server.port)
}

/// What stands behind the last colons of an error's name.
fn error(name: &str) -> String {
    format!("ErrorCode::{name}")
}

#[test]
fn a_granted_origin_answers_and_the_request_is_well_formed() {
    let server = Server::http();
    for mut web in [Web::new(&[&at(&server, "")]), Web::awaiting(&[&at(&server, "")])] {
        let asks = [
            format!("GET {}", at(&server, "/hello?a=b")),
            format!("GET {}", at(&server, "/chunks")),
            format!("POST {} body=5000 header=x-album:holidays", at(&server, "/hello")),
        ];
        assert_eq!(web.fetch(&asks.join("\n")), "200 hello\n200 hello\n200 hello");
        assert_eq!(web.log(), "");
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 6);
    for version in asked.chunks(3) {
        let host = format!("\r\nhost: 127.0.0.1:{}\r\n", server.port);
        assert!(version[0].starts_with("get /hello?a=b http/1.1\r\n"), "{version:?}");
        assert!(version.iter().all(|head| head.matches(&host).count() == 1), "{version:?}");
        assert!(version[2].starts_with("post /hello http/1.1\r\n"), "{version:?}");
        assert!(version[2].contains("\r\nx-album: holidays\r\n") && version[2].ends_with("5000 bytes"), "{version:?}");
    }
}

#[test]
fn what_is_not_granted_is_denied_and_the_log_says_what_would_grant_it() {
    let (server, other) = (Server::http(), Server::http());
    for mut web in [Web::new(&[&at(&server, "")]), Web::awaiting(&[&at(&server, "")])] {
        let asks = [
            format!("GET {}", at(&other, "/hello")),
            format!("GET https://127.0.0.1:{}/hello", server.port),
            format!("GET http://localhost:{}/hello", server.port),
            "GET http://127.0.0.1/hello".to_owned(),
        ];
        let denied = error("HttpRequestDenied");
        assert_eq!(web.fetch(&asks.join("\n")), [denied.as_str(); 4].join("\n"));
        let why = format!("[a request was refused: test.behaviours does not ask for http://127.0.0.1:{};", other.port);
        assert!(web.log().starts_with(&why), "{}", web.log());
    }
    assert!(server.asked().is_empty() && other.asked().is_empty());
}

#[test]
fn authorities_are_read_in_one_way_alone() {
    let server = Server::http();
    let mut web = Web::new(&[&at(&server, "")]);
    let port = server.port;
    let asks = [
        format!("GET http://ada@127.0.0.1:{port}/hello"),
        format!("GET http://127.1:{port}/hello"),
        format!("GET http://2130706433:{port}/hello"),
    ];
    assert_eq!(web.fetch(&asks.join("\n")), [error("HttpRequestUriInvalid").as_str(); 3].join("\n"));
    assert!(server.asked().is_empty());
}

#[test]
fn a_redirect_is_a_request_like_any_other() {
    let (server, other) = (Server::http(), Server::http());
    let mut web = Web::new(&[&at(&server, "")]);
    let here = format!("GET {} follow", at(&server, &format!("/to?{}", at(&server, "/hello"))));
    let there = format!("GET {} follow", at(&server, &format!("/to?{}", at(&other, "/hello"))));
    let followed = format!("302 then 200 hello\n302 then {}", error("HttpRequestDenied"));
    assert_eq!(web.fetch(&format!("{here}\n{there}")), followed);
    assert_eq!((server.asked().len(), other.asked().len()), (3, 0));
}

#[test]
fn a_name_leads_to_private_addresses_only_if_that_was_granted() {
    let server = Server::http();
    let origin = format!("http://localhost:{}", server.port);
    for mut web in [Web::new(&[&origin]), Web::awaiting(&[&origin])] {
        let ask = format!("GET {origin}/hello");
        assert_eq!(web.fetch(&ask), error("DestinationIpProhibited"));
        let mend = format!("if it may: idlewild grants test.behaviours --allow-private {origin}]\n");
        assert!(web.log().contains("which is not a public address") && web.log().ends_with(&mend), "{}", web.log());
        assert!(server.asked().is_empty());
        web.house.given.http = vec![granted(&origin, true)];
        assert_eq!(web.fetch(&ask), "200 hello");
        assert_eq!(server.asked().len(), 1);
        server.forget();
    }
}

#[test]
fn what_cannot_be_reached_is_told() {
    let closed = Server::closed_port();
    let nowhere = "http://nowhere.invalid";
    let mut web = Web::new(&[&format!("http://127.0.0.1:{closed}"), nowhere]);
    let told = web.fetch(&format!("GET http://127.0.0.1:{closed}/\nGET {nowhere}/"));
    let (refused, unknown) = told.split_once('\n').unwrap();
    assert_eq!(refused, error("ConnectionRefused"));
    assert!(unknown.contains("DnsError"), "{unknown}");
    assert!(web.log().contains("the name nowhere.invalid cannot be resolved"), "{}", web.log());
}

#[test]
fn bodies_and_headers_have_their_limits() {
    let settings = EngineSettings {
        http_request_limit: 10_000,
        http_response_limit: 20_000,
        http_headers_limit: 10_000,
        ..EngineSettings::default()
    };
    let server = Server::http();
    let mut web = Web::with(settings.clone(), World::Sync, &[&at(&server, "")]);
    let ask = |line: &str| line.replacen(" /", &format!(" {}", at(&server, "/")), 1);
    let cases = [
        ("POST /hello body=10000", "200 hello".to_owned()),
        ("POST /hello body=10001", error("HttpRequestBodySize(Some(10000))")),
        ("POST /hello body=10001 header=content-length:10001", error("HttpRequestBodySize(Some(10000))")),
        ("GET /large?20000", "200 with 20000 bytes".to_owned()),
        ("GET /large?20001", error("HttpResponseBodySize(Some(20000))")),
        ("HEAD /hello", "200 ".to_owned()),
        ("GET /wide?9000", "200 ".to_owned()),
        ("GET /wide?10001", error("HttpResponseHeaderSectionSize(Some(10000))")),
        ("GET /cut", "200 then incomplete HTTP response".to_owned()),
        ("GET /nonsense", error("HttpProtocolError")),
    ];
    for (line, expected) in cases {
        assert_eq!(web.fetch(&ask(line)), expected, "{line}");
    }
    let endless = web.fetch(&ask("GET /endless"));
    assert!(endless.starts_with("200 then") && endless.contains("20000"), "{endless}");
    server.wait_until_left();
    let mut web = Web::with(settings, World::Async, &[&at(&server, "")]);
    let cases = [
        ("POST /hello body=10000", "200 hello".to_owned()),
        ("POST /hello body=10001", error("HttpRequestBodySize(Some(10000))")),
        ("GET /large?20001", error("HttpResponseBodySize(Some(20000))")),
        ("GET /endless", format!("200 then {}", error("HttpResponseBodySize(Some(20000))"))),
    ];
    for (line, expected) in cases {
        assert_eq!(web.fetch(&ask(line)), expected, "{line}");
    }
}

#[test]
fn headers_a_guest_makes_up_have_their_limit() {
    let server = Server::http();
    let mut web = Web::new(&[&at(&server, "")]);
    let wide = |length: usize| format!("GET {} header=x-wide:{}", at(&server, "/hello"), "x".repeat(length));
    assert_eq!(web.fetch(&wide(60_000)), "200 hello");
    let End::Trapped(message) = web.run("fetches", &wide(70_000)) else { panic!("it traps") };
    assert!(message.contains("exceeds limit"), "{message}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn some_methods_and_headers_are_not_a_guests() {
    let server = Server::http();
    let mut web = Web::new(&[&at(&server, "")]);
    let ask = |line: &str| line.replacen(" /", &format!(" {}", at(&server, "/")), 1);
    assert_eq!(web.fetch(&ask("CONNECT /hello")), error("HttpRequestMethodInvalid"));
    assert_eq!(web.fetch(&ask("TRACE /hello")), error("HttpRequestMethodInvalid"));
    for name in ["host", "connection", "transfer-encoding", "upgrade", "proxy-authorization", "keep-alive"] {
        let told = web.fetch(&ask(&format!("GET /hello header={name}:x")));
        assert!(told.starts_with(&format!("{name}: HeaderError::Forbidden")), "{told}");
    }
    assert!(server.asked().is_empty());
    assert_eq!(web.fetch(&ask("GET /switch")), error("HttpUpgradeFailed"));
}

#[test]
fn a_task_has_so_many_requests_at_once_and_gets_them_back() {
    let settings = EngineSettings { http_requests: 2, ..EngineSettings::default() };
    let server = Server::http();
    let mut web = Web::with(settings, World::Sync, &[&at(&server, "")]);
    let three = [format!("GET {}", at(&server, "/hello")).as_str(); 3].join("\n");
    let End::Returned(Ok(told)) = web.run("fetches-at-once", &three) else { panic!("it returns") };
    assert_eq!(String::from_utf8(told).unwrap(), format!("200\n200\n{}", error("ConnectionLimitReached")));
    assert!(web.log().contains("2 of this task are under way"), "{}", web.log());
    assert_eq!(web.fetch(&three), "200 hello\n200 hello\n200 hello");
}

#[test]
fn a_server_that_keeps_a_guest_waiting_is_given_up() {
    let settings = EngineSettings {
        http_first_byte_time: Duration::from_millis(200),
        http_between_bytes_time: Duration::from_millis(200),
        ..EngineSettings::default()
    };
    let server = Server::http();
    let late = error("ConnectionReadTimeout");
    let mut web = Web::with(settings, World::Sync, &[&at(&server, "")]);
    assert_eq!(web.fetch(&format!("GET {} first-byte=60000", at(&server, "/silent"))), late, "no guest waits longer");
    server.wait_until_left();
    let stalled = web.fetch(&format!("GET {} between-bytes=60000", at(&server, "/stalls")));
    assert_eq!(stalled, "200 then connection read timeout");
    server.wait_until_left();
    for mut web in [Web::new(&[&at(&server, "")]), Web::awaiting(&[&at(&server, "")])] {
        assert_eq!(web.fetch(&format!("GET {} first-byte=200", at(&server, "/silent"))), late, "a guest may wait less");
        server.wait_until_left();
    }
}

#[test]
fn a_task_that_ends_takes_its_connections_along() {
    let server = Server::http();
    for mut web in [Web::new(&[&at(&server, "")]), Web::awaiting(&[&at(&server, "")])] {
        for path in ["/silent", "/stalls", "/deaf"] {
            let ask = format!("POST {} body=10", at(&server, path));
            let before = server.asked().len();
            let task = web.launch("fetches", &ask, Allowance { time: None, ..allowance() });
            while server.asked().len() == before {
                clock::pause(Duration::from_millis(1));
            }
            web.house.engine.expire(task, ExpirationReason::Cancelled, web.house.clock.now().uptime);
            assert_eq!(web.house.end(task).0, End::Stopped, "{path}");
            server.wait_until_left();
        }
    }
}

#[test]
fn an_awaiting_guest_gives_up_its_request_when_it_is_asked_to_stop() {
    let server = Server::http();
    let mut web = Web::awaiting(&[&at(&server, "")]);
    let task = web.launch("fetches-or-ends", &format!("GET {}", at(&server, "/silent")), allowance());
    while server.asked().is_empty() {
        clock::pause(Duration::from_millis(1));
    }
    let stop_at = web.house.clock.now().uptime + Duration::from_secs(20);
    web.house.engine.expire(task, ExpirationReason::TimeLimit, stop_at);
    assert_eq!(web.house.end(task).0, returned("gave up: ExpirationReason::TimeLimit"));
    server.wait_until_left();
}

#[test]
fn a_bound_secret_goes_to_its_origin_alone_and_no_guest_sees_it() {
    let (server, other) = (Server::http(), Server::http());
    for mut web in [Web::new(&[&at(&server, ""), &at(&other, "")]), Web::awaiting(&[&at(&server, ""), &at(&other, "")])]
    {
        let origin = Origin::parse(&at(&server, "")).unwrap();
        web.secret("token", "Bearer hush-hush\n", Some(SecretHeader { origin, name: "authorization".to_owned() }));
        let asks = format!(
            "GET {} header=authorization:mine\nGET {} header=authorization:mine",
            at(&server, "/hello"),
            at(&other, "/hello")
        );
        assert_eq!(web.fetch(&asks), "200 hello\n200 hello");
        let (here, there) = (server.asked().pop().unwrap(), other.asked().pop().unwrap());
        assert_eq!(here.matches("authorization: ").count(), 1, "{here}");
        assert!(here.contains("\r\nauthorization: bearer hush-hush\r\n"), "{here}");
        assert!(there.contains("\r\nauthorization: mine\r\n") && !there.contains("hush"), "{there}");
        assert_eq!(web.run("prints-environment", ""), returned(""));
    }
}

#[test]
fn a_secret_does_not_follow_a_redirect() {
    let (server, other) = (Server::http(), Server::http());
    let mut web = Web::new(&[&at(&server, ""), &at(&other, "")]);
    let origin = Origin::parse(&at(&server, "")).unwrap();
    web.secret("token", "hush-hush", Some(SecretHeader { origin, name: "x-key".to_owned() }));
    let ask = format!("GET {} follow", at(&server, &format!("/to?{}", at(&other, "/hello"))));
    assert_eq!(web.fetch(&ask), "302 then 200 hello");
    assert!(server.asked()[0].contains("x-key: hush-hush") && !other.asked()[0].contains("hush"));
}

#[test]
fn configuration_and_secrets_are_the_whole_environment_and_secrets_stay_out_of_the_log() {
    for mut web in [Web::new(&[]), Web::awaiting(&[])] {
        assert_eq!(web.run("prints-environment", ""), returned(""));
        web.house.given.config = BTreeMap::from([("album-title".to_owned(), "Holidays = fun".to_owned())]);
        web.secret("upload-token", "hush-hush\n", None);
        assert_eq!(web.run("prints-environment", ""), returned("ALBUM_TITLE=Holidays = fun\nUPLOAD_TOKEN=hush-hush"));
        assert!(!web.log().contains("hush"), "{}", web.log());
        let path = web.house.state.path().join("upload-token");
        fs::write(&path, "another-one").unwrap();
        let again = "ALBUM_TITLE=Holidays = fun\nUPLOAD_TOKEN=another-one";
        assert_eq!(web.run("prints-environment", ""), returned(again), "it is read anew");
        fs::remove_file(&path).unwrap();
        let End::NotStarted(message) = web.run("prints-environment", "") else { panic!("it cannot start") };
        let named = format!("the secret `upload-token`, the file {}, cannot be read: ", path.display());
        assert!(message.starts_with(&named), "{message}");
    }
    let mut web = Web::new(&[]);
    web.secret("upload-token", "hush-hush", None);
    web.run("prints-environment", "");
    assert_eq!(web.log(), "UPLOAD_TOKEN=[secret]\n");
}

#[test]
fn a_secret_stays_out_of_messages_and_of_a_log_that_is_written_in_pieces() {
    let mut web = Web::new(&[]);
    web.secret("upload-token", "hush-hush", None);
    let told = End::Returned(Err("it was UPLOAD_TOKEN=[secret]".to_owned()));
    assert_eq!(web.run("tells-its-environment", "it was "), told);
    assert_eq!(web.log(), "UPLOAD_TOKEN=[secret]");

    // What is cut off in the middle of a secret does not show its beginning.
    let limit = EngineSettings::default().failure_limit;
    let End::Returned(Err(message)) = web.run("tells-its-environment", &"x".repeat(limit - 20)) else {
        panic!("it fails")
    };
    assert!(message.len() <= limit && message.ends_with("TOKEN=[se …"), "{}", &message[limit - 30..]);

    // A log ends with what might have become a secret and did not.
    web.house.given.secrets.clear();
    web.secret("upload-token", "TOKEN=TOKEN=", None);
    web.run("tells-its-environment", "");
    assert_eq!(web.log(), "UPLOAD_[secret]TOKEN=");
}

#[test]
fn a_secret_stays_out_of_titles() {
    let mut web = Web::new(&[]);
    web.secret("upload-token", "hush-hush", None);
    // Cut in the middle of where the secret would stand, a title does not show its beginning.
    let limit = EngineSettings::default().title_limit;
    let before = "x".repeat(limit - 20);
    let task = web.launch("titles-itself", &before, allowance());
    let (end, _, heard) = web.house.end(task);
    assert_eq!(end, returned(""));
    let shown = "UPLOAD_TOKEN=[secret]".to_owned();
    let cut = format!("{before}UPLOAD_TOKEN=[se …");
    assert!(heard.contains(&Heard::Titled(task, shown.clone(), cut.clone())), "{heard:?}");
    let asked = heard.iter().find_map(|heard| match heard {
        Heard::Submitted(_, Request { kind: Kind::ContinuedProcessing(continued), .. }) => Some(continued),
        _ => None,
    });
    let Continued { title, subtitle, .. } = asked.expect("it was submitted");
    assert_eq!((title, subtitle), (&cut, &shown));
}

#[test]
fn certificates_of_authorities_this_system_does_not_know_are_refused() {
    let server = Server::https(Certificate::Good);
    let origin = format!("https://127.0.0.1:{}", server.port);
    let mut web = Web::new(&[&origin]);
    let told = web.fetch(&format!("GET {origin}/hello"));
    // A system that trusts nobody says so.
    let nobody = [error("TlsCertificateError"), error("ConfigurationError")];
    assert!(nobody.contains(&told), "{told}");
    assert!(web.log().contains("SSL_CERT_FILE"), "{}", web.log());
    assert!(server.asked().is_empty());
}

#[test]
fn there_is_no_way_past_http() {
    let server = Server::http();
    let mut web = Web::new(&[&at(&server, "")]);
    let end = web.run("opens-sockets", &format!("127.0.0.1:{}", server.port));
    assert_eq!(end, returned("TCP: refused\nUDP: refused\na name: refused"));
}

#[test]
fn random_numbers_are_never_the_same() {
    let mut web = Web::new(&[]);
    let mut draw = || match web.run("draws-random", "") {
        End::Returned(Ok(drawn)) => String::from_utf8(drawn).unwrap(),
        other => panic!("{other:?}"),
    };
    let (first, second) = (draw(), draw());
    let numbers: Vec<&str> = first.split(' ').chain(second.split(' ')).collect();
    let different: std::collections::BTreeSet<&&str> = numbers.iter().filter(|number| number.len() > 6).collect();
    assert!(different.len() >= 6, "{first} {second}");
    assert_ne!(first, second);
}
