//! The one client: asks a running host over its socket, or a router in this process. Callers cannot tell which.

use std::{io, path::PathBuf};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Method, Request, StatusCode, header},
};
use futures_util::{
    FutureExt, Stream, StreamExt,
    future::{self, BoxFuture},
    stream,
};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;
use tower::ServiceExt;

use super::{Problem, wire};

/// A way to a router.
#[derive(Debug, Clone)]
pub enum Client {
    /// A running host's Unix socket.
    Socket(PathBuf),
    /// A router in this process.
    Local(Router),
}

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The host says what is wrong; the message is its own.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// Nobody answers at the socket.
    #[error("no host answers at {}: {source}", path.display())]
    Unreachable { path: PathBuf, source: io::Error },
    /// The exchange broke, or the answer is none this client knows.
    #[error("the host's answer could not be understood: {0}")]
    Garbled(String),
}

impl Client {
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        understand(&self.ask(Method::GET, path, None).await?)
    }

    /// An answer that is bytes rather than JSON.
    pub async fn get_bytes(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        Ok(self.ask(Method::GET, path, None).await?.to_vec())
    }

    /// Bytes as they come, until there are no more.
    pub async fn follow_bytes(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Vec<u8>> + Send + Unpin + use<>, ClientError> {
        let reading = self.read(path).await?;
        Ok(stream::unfold(reading, |mut reading| async { Some((reading.more().await?.to_vec(), reading)) }).boxed())
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        understand(&self.ask(Method::POST, path, Some(write(body)?)).await?)
    }

    /// Posts under a key, so that it may be posted again without being done twice.
    pub async fn post_once<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: &str,
    ) -> Result<T, ClientError> {
        understand(&self.ask_once(Method::POST, path, Some(write(body)?), Some(key)).await?)
    }

    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        understand(&self.ask(Method::PUT, path, Some(write(body)?)).await?)
    }

    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        understand(&self.ask(Method::DELETE, path, None).await?)
    }

    /// What happens from now on, until the host ends.
    pub async fn events(&self) -> Result<impl Stream<Item = wire::Event> + Send + Unpin + use<>, ClientError> {
        let reading = self.read("/v1/events").await?;
        Ok(stream::unfold(reading, |mut reading| async { Some((reading.event().await?, reading)) }).boxed())
    }

    /// What a running task does, until it or the host ends. It is in the foreground until the stream is dropped.
    pub async fn attach(
        &self,
        task: u64,
    ) -> Result<impl Stream<Item = wire::Event> + Send + Unpin + use<>, ClientError> {
        let reading = self.read(&format!("/v1/tasks/{task}/attach")).await?;
        Ok(stream::unfold(reading, |mut reading| async { Some((reading.event().await?, reading)) }).boxed())
    }

    /// An answer that comes little by little.
    async fn read(&self, path: &str) -> Result<Reading, ClientError> {
        let request = Request::builder().uri(path).header(header::HOST, "idlewild").body(Vec::new());
        let request = request.map_err(|error| ClientError::Garbled(error.to_string()))?;
        let (status, reading) = match self {
            Client::Socket(socket) => read_socket(socket, request).await?,
            Client::Local(router) => {
                let Ok(response) = router.clone().oneshot(request.map(Body::from)).await;
                let status = response.status();
                let connection = future::pending().boxed();
                (status, Reading { body: response.into_body(), connection, rest: Vec::new() })
            }
        };
        match status.is_success() {
            true => Ok(reading),
            false => Err(refusal(status, &reading.whole().await)),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Bytes, ClientError> {
        self.ask_once(method, path, body, None).await
    }

    async fn ask_once(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        key: Option<&str>,
    ) -> Result<Bytes, ClientError> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "idlewild");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request =
            request.body(body.unwrap_or_default()).map_err(|error| ClientError::Garbled(error.to_string()))?;
        let (status, bytes) = match self {
            Client::Socket(socket) => ask_socket(socket, request).await?,
            Client::Local(router) => ask_router(router, request).await?,
        };
        if status.is_success() {
            return Ok(bytes);
        }
        Err(refusal(status, &bytes))
    }
}

/// What the host says is wrong.
fn refusal(status: StatusCode, bytes: &[u8]) -> ClientError {
    match serde_json::from_slice::<Problem>(bytes) {
        Ok(problem) => problem.into(),
        Err(_) => ClientError::Garbled(format!("status {status} without a problem document")),
    }
}

fn write(body: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(body).map_err(|error| ClientError::Garbled(error.to_string()))
}

fn understand<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| ClientError::Garbled(error.to_string()))
}

async fn ask_router(router: &Router, request: Request<Vec<u8>>) -> Result<(StatusCode, Bytes), ClientError> {
    let Ok(response) = router.clone().oneshot(request.map(Body::from)).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| ClientError::Garbled(error.to_string()))?;
    Ok((head.status, body.to_bytes()))
}

async fn ask_socket(socket: &PathBuf, request: Request<Vec<u8>>) -> Result<(StatusCode, Bytes), ClientError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| ClientError::Unreachable { path: socket.clone(), source })?;
    let garbled = |error: hyper::Error| ClientError::Garbled(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(garbled)?;
    let exchange = async move {
        let response = sender.send_request(request.map(|body| Full::new(Bytes::from(body)))).await?;
        let (head, body) = response.into_parts();
        Ok((head.status, body.collect().await?.to_bytes()))
    };
    // The connection ends by itself once `exchange` has dropped its sender; what it has to say of errors the exchange says too.
    let (answer, _) = tokio::join!(exchange, connection);
    answer.map_err(garbled)
}

/// A stream of events, half read.
struct Reading {
    body: Body,
    /// It moves the body on, where there is one.
    connection: BoxFuture<'static, ()>,
    /// What was read of a line that has not ended yet.
    rest: Vec<u8>,
}

impl Reading {
    /// None once the stream has ended or makes no sense.
    async fn event(&mut self) -> Option<wire::Event> {
        loop {
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                // The other lines name the event, which it does itself, or stand between two.
                if let Some(json) = line.strip_prefix(b"data:") {
                    return serde_json::from_slice(json).ok();
                }
            }
            let more = self.more().await?;
            self.rest.extend_from_slice(&more);
        }
    }

    /// The next bytes; none once there are no more.
    async fn more(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                frame = self.body.frame() => return Some(frame?.ok()?.into_data().unwrap_or_default()),
                () = &mut self.connection => self.connection = future::pending().boxed(),
            }
        }
    }

    async fn whole(mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        while let Some(more) = self.more().await {
            whole.extend_from_slice(&more);
        }
        whole
    }
}

async fn read_socket(socket: &PathBuf, request: Request<Vec<u8>>) -> Result<(StatusCode, Reading), ClientError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| ClientError::Unreachable { path: socket.clone(), source })?;
    let garbled = |error: hyper::Error| ClientError::Garbled(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(garbled)?;
    let mut connection = connection.map(drop).boxed();
    let mut asked = sender.send_request(request.map(|body| Full::new(Bytes::from(body)))).boxed();
    let response = tokio::select! {
        response = &mut asked => response,
        () = &mut connection => {
            connection = future::pending().boxed();
            asked.await
        }
    };
    let response = response.map_err(garbled)?;
    Ok((response.status(), Reading { body: Body::new(response.into_body()), connection, rest: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tokio::sync::watch;

    use super::*;
    use crate::api::{Closing, extract, listen_unix, serve_unix};

    fn stub() -> Router {
        let submit = async |extract::Body(request): extract::Body<wire::Request>| axum::Json(request.input);
        Router::new()
            .route("/v1/requests", post(submit))
            .route("/v1/log", get(async || vec![0u8, 159, 146, 150]))
            .route("/v1/missing", get(async || Problem::not_found("no task 9")))
            .route("/v1/tasks/9/attach", get(async || Problem::not_found("no task 9")))
            .route(
                "/v1/events",
                get(async || "event: missed\ndata: {\"event\":\"missed\",\"count\":3}\n\ndata: nonsense\n\n"),
            )
            .route("/v1/plain", get(async || (StatusCode::BAD_GATEWAY, "not ours")))
    }

    async fn answers_alike(client: &Client) {
        let said = serde_json::json!({"identifier": "com.example.a", "kind": "app-refresh", "input": {"text": "hi"}});
        let heard: wire::Bytes = client.post("/v1/requests", &said).await.unwrap();
        assert_eq!(heard.0, b"hi");
        assert_eq!(client.get_bytes("/v1/log").await.unwrap(), [0, 159, 146, 150]);
        let bytes: Vec<Vec<u8>> = client.follow_bytes("/v1/log").await.unwrap().collect().await;
        assert_eq!(bytes.concat(), [0, 159, 146, 150]);

        let missing = client.get::<wire::Task>("/v1/missing").await.unwrap_err();
        assert_eq!(missing.to_string(), "no task 9");
        assert!(matches!(missing, ClientError::Problem(Problem { status: 404, .. })));

        let wrong = client.post::<wire::Bytes>("/v1/requests", &serde_json::json!({"kid": 1})).await.unwrap_err();
        assert!(wrong.to_string().contains("unknown field `kid`"), "{wrong}");

        let events: Vec<wire::Event> = client.events().await.unwrap().collect().await;
        assert_eq!(events, [wire::Event::missed(3)]);

        let missing = client.attach(9).await.err().map(|error| error.to_string());
        assert_eq!(missing.as_deref(), Some("no task 9"));

        let foreign = client.get::<wire::Task>("/v1/plain").await.unwrap_err();
        assert!(matches!(foreign, ClientError::Garbled(_)), "{foreign}");
    }

    #[tokio::test]
    async fn a_router_in_this_process_and_one_behind_a_socket_answer_alike() {
        answers_alike(&Client::Local(stub())).await;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.sock");
        std::fs::write(&path, "left by a dead host").unwrap();
        let (close, _) = watch::channel(false);
        let listener = listen_unix(&path).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let server = tokio::spawn(serve_unix(stub(), listener, Closing::when(&close)));
        answers_alike(&Client::Socket(path.clone())).await;

        close.send(true).unwrap();
        server.await.unwrap().unwrap();
        let gone = Client::Socket(path).get::<wire::Task>("/v1/missing").await.unwrap_err();
        assert!(matches!(gone, ClientError::Unreachable { .. }), "{gone}");
    }
}
