//! One request and its response: checked, resolved, connected, sent, each step within its time.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Body as _,
    client::conn::http1::{self, Connection},
    header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    task::spawn_blocking,
};
use tokio_rustls::rustls::pki_types::ServerName;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, io::TokioIo};

use crate::bundle::{HttpGrant, Origin, Scheme};

use super::{
    Limits, Network, Reach, Sent,
    address::is_public,
    body::{Outgoing, Received, Sending},
    failure, tls,
};
use crate::engine::log::Log;

/// A request on its way.
pub(super) struct Exchange {
    network: Arc<Network>,
    reach: Arc<Reach>,
    log: Log,
    permit: OwnedSemaphorePermit,
    limits: Limits,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Wire = TokioIo<Box<dyn Stream>>;

impl Exchange {
    /// The guest's own times count where they are shorter.
    pub(super) fn new(
        network: &Arc<Network>,
        reach: &Arc<Reach>,
        log: &Log,
        permit: OwnedSemaphorePermit,
        options: Option<RequestOptions>,
    ) -> Exchange {
        let RequestOptions { connect_timeout, first_byte_timeout, between_bytes_timeout } = options.unwrap_or_default();
        let shorter = |wished: Option<Duration>, most: Duration| wished.map_or(most, |wished| wished.min(most));
        let limits = Limits {
            connect: shorter(connect_timeout, network.limits.connect),
            first_byte: shorter(first_byte_timeout, network.limits.first_byte),
            between_bytes: shorter(between_bytes_timeout, network.limits.between_bytes),
            ..network.limits
        };
        Exchange { network: network.clone(), reach: reach.clone(), log: log.clone(), permit, limits }
    }

    /// The response, and what drives its connection on.
    pub(super) async fn run(self, mut request: Request<WasiBody>) -> Sent {
        let origin = origin(request.uri()).ok_or(Error::HttpRequestUriInvalid)?;
        let grant = self.reach.grant(&origin).map_err(|why| self.refuse(&why, Error::HttpRequestDenied))?;
        self.prepare(&mut request, &origin)?;
        let by = self.network.clock.now().uptime + self.limits.connect;
        let wire = self.within(by, Error::ConnectionTimeout, self.connect(grant, by)).await?;
        let sending = Sending::new(self.network.clock.now().uptime);
        let bounded = |body| Outgoing::new(body, self.limits.request_body, sending.clone(), self.network.clock.clone());
        let (response, connection) = self.send(wire, request.map(bounded), &sending).await?;
        // Nobody asked for another protocol, and what it speaks would be no response.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::HttpUpgradeFailed);
        }
        if response.body().size_hint().lower() > self.limits.response_body {
            return Err(Error::HttpResponseBodySize(Some(self.limits.response_body)));
        }
        let Exchange { network, permit, limits, .. } = self;
        let response = response.map(|body| {
            Received::new(body, limits.response_body, limits.between_bytes, network.clock.clone()).boxed_unsync()
        });
        let driving = async move {
            let _permit = permit;
            match connection {
                Some(connection) => connection.await.map_err(|error| failure(&error)),
                None => Ok(()),
            }
        };
        Ok((response, Box::new(driving)))
    }

    /// Notes in the task's log what its author or operator can mend, and gives what the guest is told.
    fn refuse(&self, why: &str, error: Error) -> Error {
        self.log.note(&format!("a request was refused: {why}"));
        error
    }

    /// Makes the request one that this origin may get: its form, its `Host`, its secrets, its length.
    fn prepare(&self, request: &mut Request<WasiBody>, origin: &Origin) -> Result<(), Error> {
        // CONNECT would open a tunnel to elsewhere, and TRACE would show the guest the headers it must not see.
        if [Method::CONNECT, Method::TRACE].contains(request.method()) {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let announced = announced_length(request.headers());
        if announced.is_some_and(|length| length > self.limits.request_body) {
            return Err(Error::HttpRequestBodySize(Some(self.limits.request_body)));
        }
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        *request.uri_mut() = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
        let host = origin.to_string();
        let host = host.split_once("://").map_or(host.as_str(), |(_, host)| host);
        let host = HeaderValue::from_str(host).map_err(|_| Error::HttpRequestUriInvalid)?;
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        for bound in self.reach.headers.iter().filter(|bound| bound.origin == *origin) {
            headers.insert(bound.name.clone(), bound.value.clone());
        }
        Ok(())
    }

    /// A connection to the grant's origin, made by `by`.
    async fn connect(&self, grant: &HttpGrant, by: Duration) -> Result<Wire, Error> {
        let origin = &grant.origin;
        let stream = self
            .reach_any(&self.addresses(grant).await?, by)
            .await
            .map_err(|error| self.refuse(&format!("{origin} cannot be reached: {error}"), unreachable(&error)))?;
        stream.set_nodelay(true).ok();
        if origin.scheme == Scheme::Http {
            return Ok(TokioIo::new(Box::new(stream)));
        }
        let connector = self.network.trust.connector().await;
        let connector = connector.map_err(|why| self.refuse(&format!("{origin}: {why}"), Error::ConfigurationError))?;
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| Error::HttpRequestUriInvalid)?;
        let stream = connector.connect(name, stream).await.map_err(|error| {
            let (error, why) = tls::refusal(error);
            self.refuse(&format!("{origin}: {why}"), error)
        })?;
        Ok(TokioIo::new(Box::new(stream)))
    }

    /// Where the origin is. A name leads to public addresses alone, unless the grant says otherwise; the addresses found
    /// here are the ones connected to, so that no second answer can lead elsewhere.
    async fn addresses(&self, grant: &HttpGrant) -> Result<Vec<SocketAddr>, Error> {
        let HttpGrant { origin, private } = grant;
        if let Some(address) = origin.address() {
            return Ok(vec![SocketAddr::new(address, origin.port)]);
        }
        let found = self.look_up(origin).await.map_err(|error| {
            let unknown = Error::DnsError { rcode: Some("address not available".to_owned()), info_code: None };
            self.refuse(&format!("the name {} cannot be resolved: {error}", origin.host), unknown)
        })?;
        let (may, may_not): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|address| *private || is_public(address.ip()));
        match (may.is_empty(), may_not.first()) {
            (true, Some(address)) => {
                let (host, address, bundle) = (&origin.host, address.ip(), &self.reach.bundle);
                let why = format!(
                    "{host} leads to {address}, which is not a public address; if it may: idlewild grants {bundle} \
                     --allow-private {origin}"
                );
                Err(self.refuse(&why, Error::DestinationIpProhibited))
            }
            _ => Ok(may),
        }
    }

    /// Asks the system. The question cannot be called back, so it keeps its permit until it is answered.
    async fn look_up(&self, origin: &Origin) -> io::Result<Vec<SocketAddr>> {
        let permit = self.network.lookups.clone().acquire_owned().await.map_err(io::Error::other)?;
        let Origin { scheme: _, host, port } = origin.clone();
        let answer = spawn_blocking(move || {
            let _permit = permit;
            (host, port).to_socket_addrs().map(Vec::from_iter)
        });
        answer.await.map_err(io::Error::other)?
    }

    /// The first address that answers. Each gets its share of the time that is left, so that one that is silent leaves the
    /// others some.
    async fn reach_any(&self, addresses: &[SocketAddr], by: Duration) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::HostUnreachable, "it has no address");
        for (tried, address) in addresses.iter().enumerate() {
            let now = self.network.clock.now().uptime;
            let others = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = by.saturating_sub(now) / others;
            tokio::select! {
                stream = TcpStream::connect(address) => match stream {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                },
                () = self.network.clock.reach(now + share) => {
                    last = io::Error::new(io::ErrorKind::TimedOut, format!("{} does not answer", address.ip()));
                }
            }
        }
        Err(last)
    }

    /// Sends, and waits for the response's head: for so long after the last of the request that the guest gave. The answer
    /// is the response and, if its body is still to come, what brings it.
    async fn send(
        &self,
        wire: Wire,
        request: Request<Outgoing>,
        sending: &Sending,
    ) -> Result<(Response<hyper::body::Incoming>, Option<Connection<Wire, Outgoing>>), Error> {
        let refusal = |error: hyper::Error| match &error {
            _ if sending.was_too_long() => Error::HttpRequestBodySize(Some(self.limits.request_body)),
            error if error.is_parse_too_large() => {
                Error::HttpResponseHeaderSectionSize(u32::try_from(self.limits.headers).ok())
            }
            error => failure(error),
        };
        let mut builder = http1::Builder::new();
        builder.max_header_size(self.limits.headers);
        let (mut sender, connection) = builder.handshake(wire).await.map_err(refusal)?;
        let mut connection = Some(connection);
        let mut broken = None;
        let mut response = pin!(sender.send_request(request));
        loop {
            let driving = async {
                match &mut connection {
                    Some(connection) => connection.await,
                    None => std::future::pending().await,
                }
            };
            let silent_at = sending.last() + self.limits.first_byte;
            tokio::select! {
                biased;
                response = &mut response => {
                    // A connection that broke knows better why than a response that never came.
                    let response = response.map_err(|error| refusal(broken.take().unwrap_or(error)))?;
                    return Ok((response, connection));
                }
                ended = driving => {
                    // The response may have come before: the next turn of the loop has it, or its failure.
                    connection = None;
                    broken = ended.err();
                }
                () = self.network.clock.reach(silent_at) => {
                    if sending.last() + self.limits.first_byte <= self.network.clock.now().uptime {
                        return Err(Error::ConnectionReadTimeout);
                    }
                }
            }
        }
    }

    async fn within<T>(
        &self,
        by: Duration,
        late: Error,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.network.clock.reach(by) => Err(late),
        }
    }
}

/// The origin a request is for. None: its authority is none that a grant could name.
fn origin(uri: &Uri) -> Option<Origin> {
    Origin::parse(&format!("{}://{}", uri.scheme_str()?, uri.authority()?)).ok()
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn unreachable(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Error::DestinationUnavailable,
        _ => Error::ConnectionTerminated,
    }
}
