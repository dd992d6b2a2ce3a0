//! As much of D-Bus as it takes to ask a service of the machine a few questions, never waiting long for an answer.
//!
//! Calls have no argument or one string. Nothing is ever told to a service, no service is started by a call, and answers are
//! read as what anybody could have written.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use rustix::{
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
    process::geteuid,
};

/// The longest answer that is read, in bytes.
const LONGEST: usize = 1 << 20;
/// How many messages for somebody else may come before an answer.
const STRANGERS: usize = 64;
/// How often is read for one piece of a message. With the patience of each reading it bounds the whole.
const READINGS: usize = 16;
/// How deep what is passed over may be nested.
const DEPTH: usize = 32;

const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;
/// The bus shall not start the service for the call.
const NO_AUTO_START: u8 = 2;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The bus cannot be reached, or does not answer in time.
    Silent(io::ErrorKind),
    /// The service, or the bus in its place, answers with this error.
    Refused(String),
    /// What came is not D-Bus.
    Garbled,
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> NoAnswer {
        NoAnswer::Silent(error.kind())
    }
}

/// A question: which method of which object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) service: &'a str,
    pub(super) object: &'a str,
    pub(super) interface: &'a str,
    pub(super) method: &'a str,
    pub(super) argument: Option<&'a str>,
}

/// A connection to the bus. After an error it is of no use: what it would answer next may be late, and to something else.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
}

impl Bus {
    /// Connects and says who it is. `patience` bounds this and each reading.
    pub(super) fn connect(path: &Path, patience: Duration) -> Result<Bus, NoAnswer> {
        let mut stream = open(path)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        // The server knows who writes from the socket; the name, in hexadecimal digits, must agree.
        let name: String = geteuid().as_raw().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {name}\r\n").as_bytes())?;
        if !read_line(&mut stream)?.starts_with(b"OK ") {
            return Err(NoAnswer::Garbled);
        }
        stream.write_all(b"BEGIN\r\n")?;
        let mut bus = Bus { stream, serial: 0 };
        let hello = Question {
            service: "org.freedesktop.DBus",
            object: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            method: "Hello",
            argument: None,
        };
        bus.ask(hello)?;
        Ok(bus)
    }

    /// Asks, and waits for the answer's body.
    pub(super) fn ask(&mut self, question: Question<'_>) -> Result<Body, NoAnswer> {
        self.serial = self.serial.checked_add(1).unwrap_or(1);
        self.stream.write_all(&written(question, self.serial))?;
        for _ in 0..STRANGERS {
            let message = self.read_message()?;
            if message.answers != Some(self.serial) {
                continue;
            }
            match message.kind {
                RETURN => return Ok(message.body),
                ERROR => return Err(NoAnswer::Refused(message.error.unwrap_or_default())),
                _ => return Err(NoAnswer::Garbled),
            }
        }
        Err(NoAnswer::Garbled)
    }

    fn read_message(&mut self) -> Result<Message, NoAnswer> {
        let mut head = [0; 16];
        fill(&mut self.stream, &mut head)?;
        let is_big = match head[0] {
            b'l' => false,
            b'B' => true,
            _ => return Err(NoAnswer::Garbled),
        };
        let number = |at: usize| {
            let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            usize::try_from(if is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
                .unwrap_or(usize::MAX)
        };
        let (body, fields) = (number(4), number(12));
        if body > LONGEST || fields > LONGEST {
            return Err(NoAnswer::Garbled);
        }
        // The fields begin at the message's 16th byte, so that they are aligned in themselves; the body is aligned to 8.
        let mut rest = vec![0; fields.next_multiple_of(8) + body];
        fill(&mut self.stream, &mut rest)?;
        let body = Body { bytes: rest.split_off(fields.next_multiple_of(8)), at: 0, is_big };
        rest.truncate(fields);
        let message = Message { kind: head[1], answers: None, error: None, body };
        read_fields(Body { bytes: rest, at: 0, is_big }, message).ok_or(NoAnswer::Garbled)
    }
}

struct Message {
    kind: u8,
    /// The serial of the call it answers.
    answers: Option<u32>,
    error: Option<String>,
    body: Body,
}

/// Connecting waits while a server has too much to do, so it is done without waiting.
fn open(path: &Path) -> io::Result<UnixStream> {
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Reads until the piece is whole.
fn fill(stream: &mut UnixStream, mut piece: &mut [u8]) -> io::Result<()> {
    for _ in 0..READINGS {
        if piece.is_empty() {
            return Ok(());
        }
        match stream.read(piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => piece = &mut piece[count..],
        }
    }
    if piece.is_empty() { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
}

/// Reads one line of the greeting. The server sends nothing after it before it is asked.
fn read_line(stream: &mut UnixStream) -> Result<Vec<u8>, NoAnswer> {
    let mut line = Vec::new();
    for _ in 0..READINGS {
        let mut piece = [0; 256];
        match stream.read(&mut piece)? {
            0 => return Err(NoAnswer::Silent(io::ErrorKind::UnexpectedEof)),
            count => line.extend_from_slice(&piece[..count]),
        }
        if line.ends_with(b"\r\n") {
            return Ok(line);
        }
    }
    Err(NoAnswer::Garbled)
}

/// The message that asks: its fixed head, its fields, its body.
fn written(question: Question<'_>, serial: u32) -> Vec<u8> {
    let Question { service, object, interface, method, argument } = question;
    let mut body = Vec::new();
    if let Some(argument) = argument {
        put_text(&mut body, argument);
    }
    let mut fields = Vec::new();
    for (code, kind, text) in [(1, b'o', object), (2, b's', interface), (3, b's', method), (6, b's', service)] {
        pad(&mut fields, 8);
        fields.extend([code, 1, kind, 0]);
        put_text(&mut fields, text);
    }
    if argument.is_some() {
        pad(&mut fields, 8);
        fields.extend([8, 1, b'g', 0, 1, b's', 0]);
    }
    let mut message = vec![b'l', CALL, NO_AUTO_START, 1];
    for number in [length(&body), serial, length(&fields)] {
        message.extend(number.to_le_bytes());
    }
    message.extend(fields);
    pad(&mut message, 8);
    message.extend(body);
    message
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    pad(bytes, 4);
    bytes.extend(length(text.as_bytes()).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

fn pad(bytes: &mut Vec<u8>, alignment: usize) {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("questions are short")
}

/// Takes from the fields, an array of code and variant, what an answer says of itself.
fn read_fields(mut fields: Body, mut message: Message) -> Option<Message> {
    while fields.at < fields.bytes.len() {
        fields.align(8)?;
        let code = fields.byte()?;
        match (code, fields.variant()?) {
            (4, Value::Text(name)) => message.error = Some(name),
            (5, Value::Number(serial)) => message.answers = u32::try_from(serial).ok(),
            _ => {}
        }
    }
    Some(message)
}

/// What stands in a variant, as far as anybody here wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Bool(bool),
    /// A number of at least 32 bits without a sign.
    Number(u64),
    Text(String),
    /// Anything else; it was passed over.
    Other,
}

/// An answer's values, read one after the other. None: they are not what was expected.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Vec<u8>,
    at: usize,
    is_big: bool,
}

impl Body {
    /// Reads an array, whose elements are aligned to eight bytes, with `element`.
    pub(super) fn array<T>(&mut self, mut element: impl FnMut(&mut Body) -> Option<T>) -> Option<Vec<T>> {
        let length = usize::try_from(self.number()?).ok()?;
        self.align(8)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let mut elements = Vec::new();
        while self.at < end {
            self.align(8)?;
            elements.push(element(self)?);
        }
        Some(elements)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        self.align(4)?;
        let bytes = self.take(4)?.try_into().ok()?;
        Some(if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let text = self.take(length)?.to_vec();
        self.byte().filter(|end| *end == 0)?;
        String::from_utf8(text).ok()
    }

    pub(super) fn variant(&mut self) -> Option<Value> {
        let kind = self.kind()?;
        match kind.as_slice() {
            b"b" => self.number().map(|number| Value::Bool(number != 0)),
            b"u" => self.number().map(|number| Value::Number(number.into())),
            b"t" => self.long_number().map(Value::Number),
            b"s" | b"o" => self.text().map(Value::Text),
            _ => {
                let rest = self.skip(&kind, DEPTH)?;
                rest.is_empty().then_some(Value::Other)
            }
        }
    }

    fn kind(&mut self) -> Option<Vec<u8>> {
        let length = self.byte()?.into();
        let kind = self.take(length)?.to_vec();
        self.byte().filter(|end| *end == 0)?;
        Some(kind)
    }

    fn long_number(&mut self) -> Option<u64> {
        self.align(8)?;
        let bytes = self.take(8)?.try_into().ok()?;
        Some(if self.is_big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// Passes over a value of the first type in `kind`; says what of `kind` comes after that.
    fn skip<'a>(&mut self, kind: &'a [u8], depth: usize) -> Option<&'a [u8]> {
        let depth = depth.checked_sub(1)?;
        let (first, rest) = kind.split_first()?;
        match first {
            b'y' => self.pass(1, 1)?,
            b'n' | b'q' => self.pass(2, 2)?,
            b'b' | b'i' | b'u' | b'h' => self.pass(4, 4)?,
            b'x' | b't' | b'd' => self.pass(8, 8)?,
            b's' | b'o' => drop(self.text()?),
            b'g' => drop(self.kind()?),
            b'v' => {
                let inner = self.kind()?;
                self.skip(&inner, depth)?;
            }
            b'a' => {
                let length = usize::try_from(self.number()?).ok()?;
                self.align(alignment(rest.first()?))?;
                self.take(length)?;
                return one_type(rest, depth);
            }
            b'(' | b'{' => {
                self.align(8)?;
                let mut rest = rest;
                while !matches!(rest.first()?, b')' | b'}') {
                    rest = self.skip(rest, depth)?;
                }
                return Some(&rest[1..]);
            }
            _ => return None,
        }
        Some(rest)
    }

    fn pass(&mut self, alignment: usize, count: usize) -> Option<()> {
        self.align(alignment)?;
        self.take(count).map(|_| ())
    }

    fn align(&mut self, alignment: usize) -> Option<()> {
        let at = self.at.next_multiple_of(alignment);
        (at <= self.bytes.len()).then(|| self.at = at)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }
}

fn alignment(kind: &u8) -> usize {
    match kind {
        b'y' | b'g' | b'v' => 1,
        b'n' | b'q' => 2,
        b'x' | b't' | b'd' | b'(' | b'{' => 8,
        _ => 4,
    }
}

/// What of `kind` comes after its first type.
fn one_type(kind: &[u8], depth: usize) -> Option<&[u8]> {
    let depth = depth.checked_sub(1)?;
    let (first, mut rest) = kind.split_first()?;
    match first {
        b'a' => one_type(rest, depth),
        b'(' | b'{' => {
            while !matches!(rest.first()?, b')' | b'}') {
                rest = one_type(rest, depth)?;
            }
            Some(&rest[1..])
        }
        _ => Some(rest),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What `ListSessions` returned, encoded by another implementation: session 2 of ada and c1 of gdm at seat0, 5 of grace
    /// at none.
    const SESSIONS: &str = "d8000000000000000100000032000000e80300000300000061646100050000007365617430000000230000002f6f72672f66\
        7265656465736b746f702f6c6f67696e312f73657373696f6e2f5f3332000200000063310000780000000300000067646d00\
        050000007365617430000000220000002f6f72672f667265656465736b746f702f6c6f67696e312f73657373696f6e2f6331\
        00000100000035000000e90300000500000067726163650000000000000000000000230000002f6f72672f66726565646573\
        6b746f702f6c6f67696e312f73657373696f6e2f5f333500";
    /// What `GetAll` returned of session 2, with values of many types between those that are looked for.
    const SESSION: &str = "c801000000000000060000004163746976650001620000000100000000000000040000004279746500017900070000000500\
        0000436c617373000173000000000400000075736572000000000000000005000000457874726100056128736e2900000000\
        1000000001000000610001000100000062000200020000004964000173000000010000003200000000000000080000004964\
        6c6548696e740001620000000000000000000d00000049646c6553696e636548696e74000174000000000000000000000000\
        0a0000004c6f636b656448696e7400016200000001000000060000004e657374656400017600016400000000000000000000\
        00000000f83f0600000052656d6f746500016200000000000000000000000400000053656174000428736f29000005000000\
        7365617430000000220000002f6f72672f667265656465736b746f702f6c6f67696e312f736561742f736561743000000000\
        00000900000054696d657374616d70000174000000000000000000243b84f93a06000400000055736572000428756f290000\
        e8030000220000002f6f72672f667265656465736b746f702f6c6f67696e312f757365722f5f313030300000000000000400\
        000056544e720001750002000000";
    /// The head of the call that asks for the properties of session 2, and its body.
    const CALL_HEAD: &str = "6c01020123000000030000008f00000001016f00230000002f6f72672f667265656465736b746f702f6c6f67696e312f7365\
        7373696f6e2f5f33320000000000020173001f0000006f72672e667265656465736b746f702e444275732e50726f70657274\
        696573000301730006000000476574416c6c000006017300160000006f72672e667265656465736b746f702e6c6f67696e31\
        000008016700017300";
    const CALL_BODY: &str = "1e0000006f72672e667265656465736b746f702e6c6f67696e312e53657373696f6e00";

    fn bytes(digits: &str) -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    pub(in crate::conditions::linux) fn recorded_session() -> Vec<u8> {
        bytes(SESSION)
    }

    fn body(bytes: Vec<u8>) -> Body {
        Body { bytes, at: 0, is_big: false }
    }

    #[test]
    fn writes_a_call_as_another_implementation_does() {
        let question = Question {
            service: "org.freedesktop.login1",
            object: "/org/freedesktop/login1/session/_32",
            interface: "org.freedesktop.DBus.Properties",
            method: "GetAll",
            argument: Some("org.freedesktop.login1.Session"),
        };
        let mut expected = bytes(CALL_HEAD);
        pad(&mut expected, 8);
        expected.extend(bytes(CALL_BODY));
        assert_eq!(written(question, 3), expected);
    }

    #[test]
    fn reads_what_another_implementation_wrote() {
        let session = |body: &mut Body| Some((body.text()?, body.number()?, body.text()?, body.text()?, body.text()?));
        let sessions = body(bytes(SESSIONS)).array(session).unwrap();
        let shown: Vec<_> =
            sessions.iter().map(|(id, uid, name, seat, _)| format!("{id} {uid} {name} {seat}")).collect();
        assert_eq!(shown, ["2 1000 ada seat0", "c1 120 gdm seat0", "5 1001 grace "]);
        assert!(sessions.iter().all(|(.., object)| object.starts_with("/org/freedesktop/login1/session/")));

        let mut recorded = body(bytes(SESSION));
        let properties = recorded.array(|body| Some((body.text()?, body.variant()?))).unwrap();
        assert_eq!(recorded.at, recorded.bytes.len(), "nothing is left");
        let value = |name| properties.iter().find(|(other, _)| other == name).unwrap().1.clone();
        assert_eq!(properties.len(), 14);
        assert_eq!(value("Class"), Value::Text("user".to_owned()));
        assert_eq!(value("Active"), Value::Bool(true));
        assert_eq!(value("Remote"), Value::Bool(false));
        assert_eq!(value("VTNr"), Value::Number(2));
        assert_eq!(value("Timestamp"), Value::Number(1_753_693_200_000_000));
        assert_eq!(value("Extra"), Value::Other);
    }

    #[test]
    fn no_bytes_whatever_upset_it() {
        let mut random = fastrand::Rng::with_seed(42);
        for recorded in [SESSIONS, SESSION] {
            for _ in 0..20_000 {
                let mut damaged = bytes(recorded);
                for _ in 0..random.usize(1..4) {
                    let at = random.usize(..damaged.len());
                    damaged[at] = random.u8(..);
                }
                damaged.truncate(random.usize(..=damaged.len()));
                let mut damaged = body(damaged);
                let _ = damaged.array(|body| Some((body.text()?, body.variant()?)));
                assert!(damaged.at <= damaged.bytes.len());
            }
        }
        let endless = body([vec![255], vec![b'('; 255], vec![0; 9]].concat()).variant();
        assert_eq!(endless, None);
    }
}
