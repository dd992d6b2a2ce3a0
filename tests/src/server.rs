//! A server of the web on loopback, good and bad: what it answers depends on the path, and it keeps what it was asked.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Condvar, Mutex, mpsc},
    thread,
    time::Duration,
};

use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Longer than a client takes to go away, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whose certificate a server shows: for `localhost`, of the authority in `tests/tls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    Good,
    Expired,
    /// Good, but the server stands at an address it does not name.
    OfAnother,
}

impl Certificate {
    fn file(self) -> &'static str {
        match self {
            Certificate::Good | Certificate::OfAnother => "server.pem",
            Certificate::Expired => "expired.pem",
        }
    }

    fn address(self) -> &'static str {
        match self {
            Certificate::Good | Certificate::Expired => "127.0.0.1",
            Certificate::OfAnother => "127.0.0.2",
        }
    }
}

/// It answers until the process ends.
pub struct Server {
    /// Without the scheme, such as `127.0.0.1:8080`.
    pub authority: String,
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    gone: Mutex<mpsc::Receiver<()>>,
    held: Arc<Held>,
}

/// Holds the second half of `/held` back.
#[derive(Default)]
struct Held {
    let_go: Mutex<bool>,
    bell: Condvar,
}

trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

type Accept = Box<dyn Fn(TcpStream) -> io::Result<Box<dyn Wire>> + Send>;

impl Server {
    /// Speaks HTTP on 127.0.0.1.
    pub fn http() -> Server {
        Server::start("127.0.0.1", Box::new(|stream| Ok(Box::new(stream))))
    }

    /// Speaks HTTPS on loopback.
    pub fn https(certificate: Certificate) -> Server {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tls");
        let chain = vec![CertificateDer::from_pem_file(folder.join(certificate.file())).unwrap()];
        let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let accept = move |stream| {
            let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            Ok(Box::new(StreamOwned::new(connection, stream)) as Box<dyn Wire>)
        };
        Server::start(certificate.address(), Box::new(accept))
    }

    fn start(address: &str, accept: Accept) -> Server {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (leave, gone) = mpsc::channel();
        let held = Arc::new(Held::default());
        let keep = asked.clone();
        let holds = held.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (keep, leave, holds) = (keep.clone(), leave.clone(), holds.clone());
                stream.set_nodelay(true).unwrap();
                let wire = accept(stream);
                // A client that goes away in the middle is part of the story.
                thread::spawn(move || wire.and_then(|wire| serve(wire, &keep, &leave, &holds)).ok());
            }
        });
        Server { authority: format!("{address}:{port}"), port, asked, gone: Mutex::new(gone), held }
    }

    /// The heads of the requests so far, in lower case, each with its body's length at its end.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Forgets what it was asked.
    pub fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }

    /// Answers the second half of `/held`, from now on.
    pub fn let_go(&self) {
        *self.held.let_go.lock().unwrap() = true;
        self.held.bell.notify_all();
    }

    /// A port of 127.0.0.1 where nobody listens any more.
    pub fn closed_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    /// Waits until a client went away while it was kept waiting.
    pub fn wait_until_left(&self) {
        self.gone.lock().unwrap().recv_timeout(PATIENCE).expect("the client goes away");
    }
}

/// One request on one connection.
fn serve(wire: Box<dyn Wire>, asked: &Mutex<Vec<String>>, leave: &mpsc::Sender<()>, held: &Held) -> io::Result<()> {
    let mut wire = BufReader::new(wire);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if wire.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let head = head.to_lowercase();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let length = match path {
        "/deaf" => 0,
        _ => read_body(&mut wire, &head)?,
    };
    asked.lock().unwrap().push(format!("{}{length} bytes", head.trim_end().to_owned() + "\r\n"));
    let number = || query.parse::<usize>().unwrap_or_default();
    let mut answer = |text: &str| wire.get_mut().write_all(text.as_bytes()).and_then(|()| wire.get_mut().flush());
    match path {
        "/hello" => answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")?,
        "/chunks" => answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")?,
        "/to" => answer(&format!("HTTP/1.1 302 Found\r\nlocation: {query}\r\ncontent-length: 0\r\n\r\n"))?,
        "/large" => {
            answer(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", number()))?;
            answer(&"x".repeat(number()))?;
        }
        "/endless" => {
            answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            while answer("400\r\n").is_ok() && answer(&"x".repeat(1024)).is_ok() && answer("\r\n").is_ok() {}
            leave.send(()).ok();
        }
        "/wide" => {
            let wide = "x".repeat(number());
            answer(&format!("HTTP/1.1 200 OK\r\nwide: {wide}\r\ncontent-length: 0\r\n\r\n"))?;
        }
        "/cut" => answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?,
        "/nonsense" => answer("this is no HTTP\r\n\r\n")?,
        "/switch" => answer("HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\nother")?,
        "/silent" | "/deaf" => {
            wire.read_to_end(&mut Vec::new()).ok();
            leave.send(()).ok();
        }
        "/held" => {
            answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ")?;
            drop(held.bell.wait_timeout_while(held.let_go.lock().unwrap(), PATIENCE, |let_go| !*let_go).unwrap());
            answer("whole")?;
        }
        "/stalls" => {
            answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?;
            wire.read_to_end(&mut Vec::new()).ok();
            leave.send(()).ok();
        }
        _ => answer("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?,
    }
    Ok(())
}

/// Reads the body to its end, and counts it.
fn read_body(wire: &mut BufReader<Box<dyn Wire>>, head: &str) -> io::Result<usize> {
    if let Some(length) = head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        let mut body = vec![0; length.parse().unwrap_or_default()];
        wire.read_exact(&mut body)?;
        return Ok(body.len());
    }
    if !head.contains("transfer-encoding: chunked") {
        return Ok(0);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        wire.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        wire.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(length);
        }
        length += size;
    }
}
