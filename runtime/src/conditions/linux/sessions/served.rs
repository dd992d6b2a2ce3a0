//! A small server of the bus and the login manager behind it. What it sends was encoded by another implementation of D-Bus
//! and recorded; only what differs from one answer to the next is put in by hand.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::SOCKET;

/// What the login manager says of one session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub(crate) class: &'static str,
    pub(crate) seat: &'static str,
    pub(crate) active: bool,
    pub(crate) idle: bool,
    pub(crate) locked: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Answers {
    Sessions(Vec<Said>),
    /// There is no login manager on this bus.
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    Good,
    /// Does not let the client in.
    Rejects,
    /// Takes the connection and says nothing.
    Silent,
    /// Answers with what is no message.
    Nonsense,
    /// Closes the connection instead of answering.
    HangsUp,
}

pub(crate) struct Served {
    answers: Arc<Mutex<Answers>>,
    connections: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn change(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // The thread waits for a connection; this one ends it.
        drop(UnixStream::connect(&self.path));
        self.thread.take().unwrap().join().unwrap();
    }
}

pub(crate) fn serve(root: &Path, answers: Answers, manners: Manners) -> Served {
    let path = root.join(SOCKET);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let (answers, connections) = (Arc::new(Mutex::new(answers)), Arc::new(AtomicUsize::new(0)));
    let stopping = Arc::new(AtomicBool::new(false));
    let (said, count, stop) = (answers.clone(), connections.clone(), stopping.clone());
    let thread = thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            if stop.load(Ordering::Acquire) {
                return;
            }
            count.fetch_add(1, Ordering::AcqRel);
            let said = said.clone();
            // It ends with its client. That ends it in the middle of a word is nothing to this server.
            thread::spawn(move || drop(attend(stream, &said, manners)));
        }
    });
    Served { answers, connections, stopping, path, thread: Some(thread) }
}

/// Serves one client until it goes away.
fn attend(stream: UnixStream, answers: &Mutex<Answers>, manners: Manners) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    assert!(line.starts_with("\0AUTH EXTERNAL 3") && line.ends_with("\r\n"), "{line:?}");
    if manners == Manners::Silent {
        // Until the client has had enough.
        return reader.read(&mut [0; 1]).map(|_| ());
    }
    if manners == Manners::Rejects {
        return writer.write_all(b"REJECTED EXTERNAL\r\n");
    }
    writer.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n")?;
    line.clear();
    reader.read_line(&mut line)?;
    assert_eq!(line, "BEGIN\r\n");
    loop {
        let (serial, call) = read_call(&mut reader)?;
        match manners {
            Manners::Nonsense => return writer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            Manners::HangsUp => return Ok(()),
            Manners::Good | Manners::Rejects | Manners::Silent => {}
        }
        let answers = answers.lock().unwrap().clone();
        writer.write_all(&answer(serial, &call, &answers))?;
    }
}

/// A call's serial and the rest of it, where its names are found as they stand.
fn read_call(reader: &mut impl Read) -> io::Result<(u32, String)> {
    let mut head = [0; 16];
    reader.read_exact(&mut head)?;
    assert_eq!(head[..4], [b'l', 1, 2, 1], "a call that starts no service");
    let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
    let mut rest = vec![0; (number(12).next_multiple_of(8) + number(4)) as usize];
    reader.read_exact(&mut rest)?;
    Ok((number(8), String::from_utf8_lossy(&rest).into_owned()))
}

fn answer(serial: u32, call: &str, answers: &Answers) -> Vec<u8> {
    if call.contains("Hello") {
        // The bus then also says to its new client that it has a name, before or after the answer.
        let told = message(4, 1, &[], &[]);
        return [told, message(2, serial, &[], &text(":1.42"))].concat();
    }
    match answers {
        Answers::Refused => message(3, serial, b"org.freedesktop.DBus.Error.ServiceUnknown", &text("no such name")),
        Answers::Sessions(sessions) if call.contains("ListSessions") => {
            let one = |(at, said): (usize, &Said)| {
                let object = format!("/org/freedesktop/login1/session/_3{at}");
                let mut bytes = text(&at.to_string());
                pad(&mut bytes, 4);
                bytes.extend(1000u32.to_le_bytes());
                for word in ["ada", said.seat, &object] {
                    pad(&mut bytes, 4);
                    bytes.extend(text(word));
                }
                bytes
            };
            message(2, serial, &[], &array(sessions.iter().enumerate().map(one)))
        }
        Answers::Sessions(sessions) => {
            let at = call.split("session/_3").nth(1).unwrap().chars().next().unwrap().to_digit(10).unwrap();
            message(2, serial, &[], &properties(sessions[at as usize]))
        }
    }
}

/// All properties of a session, as recorded, but for those that `said` says.
fn properties(said: Said) -> Vec<u8> {
    let Said { class, seat: _, active, idle, locked } = said;
    let mut recorded = super::super::bus::tests::recorded_session();
    for (name, value) in [("Active", active), ("IdleHint", idle), ("LockedHint", locked)] {
        // The name, its end, the variant's type, and the value at the next multiple of four.
        let at = find(&recorded, format!("{name}\0\u{1}b\0").as_bytes()) + name.len() + 4;
        recorded[at.next_multiple_of(4)] = value.into();
    }
    // One more property at the end; the last of a name counts.
    pad(&mut recorded, 8);
    recorded.extend(text("Class"));
    recorded.extend(b"\x01s\0");
    pad(&mut recorded, 4);
    recorded.extend(text(class));
    let length = (recorded.len() - 8) as u32;
    recorded[..4].copy_from_slice(&length.to_le_bytes());
    recorded
}

fn find(bytes: &[u8], piece: &[u8]) -> usize {
    bytes.windows(piece.len()).position(|window| window == piece).unwrap()
}

fn array(elements: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    for element in elements {
        pad(&mut bytes, 8);
        bytes.extend(element);
    }
    let length = (bytes.len() - 8) as u32;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes(), text.as_bytes(), &[0]].concat()
}

fn pad(bytes: &mut Vec<u8>, alignment: usize) {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
}

/// A message with the fields that say what it answers, who sends it, and the error it is.
fn message(kind: u8, answers: u32, error: &[u8], body: &[u8]) -> Vec<u8> {
    let mut fields = b"\x05\x01u\0".to_vec();
    fields.extend(if kind == 4 { 0 } else { answers }.to_le_bytes());
    fields.extend(b"\x07\x01s\0");
    fields.extend(text("org.freedesktop.DBus"));
    if !error.is_empty() {
        pad(&mut fields, 8);
        fields.extend(b"\x04\x01s\0");
        fields.extend(text(std::str::from_utf8(error).unwrap()));
    }
    let mut message = vec![b'l', kind, 1, 1];
    for number in [body.len() as u32, 9, fields.len() as u32] {
        message.extend(number.to_le_bytes());
    }
    message.extend(fields);
    pad(&mut message, 8);
    message.extend(body);
    message
}
