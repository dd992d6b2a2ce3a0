//! The way to the web, for both versions of `wasi:http`: requests to granted origins and to nowhere else, each within limits
//! that have names. Redirects are the guest's to follow, so that where they lead is checked like any request.
//!
//! A request runs as a task on the guests' runtime that its guest's handle owns: it ends with the guest.

mod address;
mod body;
mod exchange;
mod tls;

use std::{error, future, io, sync::Arc, time::Duration};

use hyper::{Request, Response, header::HeaderValue};
use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime_wasi::runtime;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView, p2, p3,
};

use crate::{
    bundle::{Bundle, HttpGrant, Origin},
    clock::Clock,
    rules::BundleId,
};

use self::{exchange::Exchange, tls::Trust};
use super::{imports::Guest, log::Log, settings::EngineSettings};

/// What all requests share.
pub(super) struct Network {
    clock: Arc<dyn Clock>,
    limits: Limits,
    trust: Trust,
    /// Who asks the system for the addresses of a name: it blocks a thread that guests' files need too.
    lookups: Arc<Semaphore>,
}

/// What one request may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    requests: usize,
    request_body: u64,
    response_body: u64,
    headers: usize,
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

/// Where a bundle may go, and what is added on the way.
pub(super) struct Reach {
    bundle: BundleId,
    asked: Vec<Origin>,
    granted: Vec<HttpGrant>,
    headers: Vec<BoundHeader>,
}

/// A secret as the header of each request to its one origin. It prints as `Sensitive`.
#[derive(Debug)]
pub(super) struct BoundHeader {
    pub(super) origin: Origin,
    pub(super) name: hyper::header::HeaderName,
    pub(super) value: HeaderValue,
}

/// One call's way out.
pub(super) struct Http {
    context: WasiHttpCtx,
    hooks: Hooks,
}

struct Hooks {
    network: Arc<Network>,
    /// None in `register` and `activate`.
    reach: Option<Arc<Reach>>,
    requests: Arc<Semaphore>,
    log: Log,
}

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// Gives guests `wasi:http` of WASI 0.2 and 0.3, without what it shares with the rest of WASI.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    p2::add_only_http_to_linker_async(linker)?;
    p3::add_to_linker(linker)
}

impl Network {
    pub(super) fn new(settings: &EngineSettings, clock: Arc<dyn Clock>) -> Network {
        let limits = Limits {
            requests: settings.http_requests,
            request_body: settings.http_request_limit,
            response_body: settings.http_response_limit,
            headers: settings.http_headers_limit,
            connect: settings.http_connect_time,
            first_byte: settings.http_first_byte_time,
            between_bytes: settings.http_between_bytes_time,
        };
        let lookups = Arc::new(Semaphore::new((settings.blocking_threads / 2).max(1)));
        Network { clock, limits, trust: Trust::default(), lookups }
    }
}

impl Reach {
    /// What the bundle may reach. `headers` are its bound secrets.
    pub(super) fn of(bundle: &Bundle, headers: Vec<BoundHeader>) -> Reach {
        Reach {
            bundle: bundle.manifest.id.clone(),
            asked: bundle.manifest.http.clone(),
            granted: bundle.grants.http.clone(),
            headers,
        }
    }

    /// The origin's grant. Errors: why there is none, and what would give one.
    fn grant(&self, origin: &Origin) -> Result<&HttpGrant, String> {
        let Reach { bundle, asked, granted, headers: _ } = self;
        match granted.iter().find(|grant| grant.origin == *origin) {
            Some(grant) => Ok(grant),
            None if asked.contains(origin) => {
                Err(format!("{origin} is not granted; to grant it: idlewild grants {bundle} --allow {origin}"))
            }
            None => Err(format!(
                "{bundle} does not ask for {origin}; add it to `http` in the manifest's [capabilities], and grant it by \
                 --allow {origin}"
            )),
        }
    }
}

impl Http {
    pub(super) fn new(network: Arc<Network>, reach: Option<Reach>, log: Log) -> Http {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(network.limits.headers);
        let requests = Arc::new(Semaphore::new(network.limits.requests));
        Http { context, hooks: Hooks { network, reach: reach.map(Arc::new), requests, log } }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Http { context, hooks } = &mut self.http;
        WasiHttpCtxView { hooks, table: &mut self.table, ctx: context }
    }
}

impl WasiHttpHooks for Hooks {
    /// The exchange sets it, from the origin it checked.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let Some(reach) = &self.reach else {
            self.log.note("a request was refused: only launch may speak to others, register and activate may not");
            return Box::new(future::ready(Err(Error::HttpRequestDenied)));
        };
        let Ok(permit) = self.requests.clone().try_acquire_owned() else {
            self.log.note(&format!(
                "a request was refused: {} of this task are under way, which is all it may have at once",
                self.network.limits.requests
            ));
            return Box::new(future::ready(Err(Error::ConnectionLimitReached)));
        };
        let exchange = Exchange::new(&self.network, reach, &self.log, permit, options);
        // On the runtime, so that a guest that computes does not hold up its own requests.
        Box::new(runtime::spawn(exchange.run(request)))
    }
}

/// hyper's errors in WASI's words.
fn failure(error: &hyper::Error) -> Error {
    let cause = error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    let is_cut_off = cause.is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof);
    match error {
        error if is_cut_off || error.is_incomplete_message() => Error::HttpResponseIncomplete,
        error if error.is_canceled() || error.is_closed() => Error::ConnectionTerminated,
        error if error.is_parse() || error.is_user() => Error::HttpProtocolError,
        _ => Error::ConnectionTerminated,
    }
}
