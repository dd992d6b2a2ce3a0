//! The routes under `/v1`, one handler each: parse, ask the host, answer.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json, Router, body,
    extract::{DefaultBodyLimit, State},
    http::header,
    response::{IntoResponse, Sse, sse},
    routing::{delete, get, post, put},
};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{broadcast::Receiver, watch};
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use super::{
    BODY_LIMIT, Problem,
    extract::{Body, IdempotencyKey, Params, Segment},
    wire,
};
use crate::{
    host::{self, Happening, Host, HostError},
    rules::{BundleId, Identifier, ScheduleId, TaskId},
};

type Answer<T> = Result<Json<T>, Problem>;

/// Tells the router and what serves it to end: true, or gone, means now.
#[derive(Debug, Clone)]
pub struct Closing(watch::Receiver<bool>);

impl Closing {
    /// Ends when `sender` sends true or is dropped.
    pub fn when(sender: &watch::Sender<bool>) -> Closing {
        Closing(sender.subscribe())
    }

    /// Completes when it is time to end.
    pub async fn begun(mut self) {
        // A sender that is gone will never say so, and means the same.
        let _ = self.0.wait_for(|closing| *closing).await;
    }
}

#[derive(Clone)]
struct Served {
    host: Host,
    about: wire::About,
    closing: Closing,
}

/// Everything a client may ask of `host`. Streams of events end with `closing`.
pub fn router(host: Host, about: wire::About, closing: Closing) -> Router {
    let v1 = Router::new()
        .route("/host", get(about_host))
        .route("/bundles", get(bundles).post(install))
        .route("/bundles/{bundle}", get(bundle).delete(uninstall))
        .route("/bundles/{bundle}/enabled", put(switch))
        .route("/bundles/{bundle}/grants", post(change_grants))
        .route("/bundles/{bundle}/rollback", post(rollback))
        .route("/bundles/{bundle}/inspection", get(inspect))
        .route("/keys", get(trust).post(trust_key))
        .route("/keys/{key}", delete(distrust_key))
        .route("/signature-policy", put(set_policy))
        .route("/requests", get(pending).post(submit))
        .route("/requests/{identifier}", delete(cancel))
        .route("/requests/{identifier}/launch", post(launch_now))
        .route("/identifiers/{identifier}/expire", post(expire_now))
        .route("/schedules", get(schedules).post(add_schedule))
        .route("/schedules/{schedule}", get(schedule).delete(remove_schedule))
        .route("/schedules/{schedule}/enabled", put(switch_schedule))
        .route("/history", get(history))
        .route("/tasks", get(tasks))
        .route("/tasks/{task}", get(task))
        .route("/tasks/{task}/log", get(log))
        .route("/tasks/{task}/attach", get(attach))
        .route("/why/{identifier}", get(why))
        .route("/conditions", get(conditions).put(state_condition))
        .route("/events", get(event_stream));
    Router::new()
        .nest("/v1", v1)
        .fallback(async |uri: axum::http::Uri| Problem::not_found(format!("there is nothing at {}", uri.path())))
        .method_not_allowed_fallback(async |method: axum::http::Method, uri: axum::http::Uri| {
            Problem::method_not_allowed(format!("{method} does not apply to {}", uri.path()))
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Served { host, about, closing })
}

/// What happens from now on, as clients see it. A listener that falls behind is told how much it missed.
fn events(host: &Host) -> impl Stream<Item = wire::Event> + Send + Unpin + use<> {
    as_events(host.happenings())
}

/// What happens from the start, for the first who asks.
pub fn events_from_start(host: &Host) -> impl Stream<Item = wire::Event> + Send + Unpin + use<> {
    as_events(host.happenings_from_start())
}

fn as_events(happenings: Receiver<Arc<Happening>>) -> impl Stream<Item = wire::Event> + Send + Unpin + use<> {
    BroadcastStream::new(happenings).map(|heard| match heard {
        Ok(happening) => wire::Event::from(&*happening),
        Err(BroadcastStreamRecvError::Lagged(count)) => wire::Event::missed(count),
    })
}

async fn about_host(State(served): State<Served>) -> Json<wire::About> {
    Json(served.about)
}

async fn bundles(State(served): State<Served>) -> Answer<Vec<wire::Bundle>> {
    Ok(Json(served.host.bundles().await?.into_iter().map(wire::Bundle::from).collect()))
}

async fn bundle(State(served): State<Served>, Segment(bundle): Segment<BundleId>) -> Answer<wire::BundleDetail> {
    Ok(Json(served.host.bundle(&bundle).await?.into()))
}

/// On a task of its own: a client that goes away leaves nothing half done.
async fn to_its_end<T: Send + 'static, W: From<T>>(
    change: impl Future<Output = Result<T, HostError>> + Send + 'static,
) -> Answer<W> {
    Ok(Json(tokio::spawn(change).await.map_err(|_| HostError::Stopping)??.into()))
}

async fn install(State(served): State<Served>, Body(install): Body<wire::Install>) -> Answer<wire::Installed> {
    let installation = install.into_installation().map_err(Problem::bad_request)?;
    to_its_end(async move { served.host.install(&installation).await }).await
}

async fn rollback(State(served): State<Served>, Segment(bundle): Segment<BundleId>) -> Answer<wire::Installed> {
    to_its_end(async move { served.host.rollback(&bundle).await }).await
}

async fn switch(
    State(served): State<Served>,
    Segment(bundle): Segment<BundleId>,
    Body(switch): Body<wire::Switch>,
) -> Answer<wire::Switched> {
    to_its_end(async move {
        match switch {
            wire::Switch { enabled: true, now: _ } => served.host.enable(&bundle).await,
            wire::Switch { enabled: false, now } => served.host.disable(&bundle, now).await,
        }
    })
    .await
}

async fn change_grants(
    State(served): State<Served>,
    Segment(bundle): Segment<BundleId>,
    Body(change): Body<wire::ChangeGrants>,
) -> Answer<wire::Granted> {
    let (grants, taken_back) = change.into_parts().map_err(Problem::bad_request)?;
    to_its_end(async move { served.host.change_grants(&bundle, &grants, &taken_back).await }).await
}

async fn uninstall(
    State(served): State<Served>,
    Segment(bundle): Segment<BundleId>,
    Params(query): Params<wire::UninstallQuery>,
) -> Answer<wire::Uninstalled> {
    let wire::UninstallQuery { keep_data } = query;
    to_its_end(async move { served.host.uninstall(&bundle, keep_data).await }).await
}

async fn inspect(State(served): State<Served>, Segment(bundle): Segment<BundleId>) -> Answer<wire::Inspection> {
    Ok(Json(served.host.inspect(&bundle).await?.into()))
}

async fn trust(State(served): State<Served>) -> Answer<wire::Trust> {
    Ok(Json(served.host.trust().await?.into()))
}

async fn trust_key(State(served): State<Served>, Body(asked): Body<wire::TrustKey>) -> Answer<wire::KeyTrusted> {
    let wire::TrustKey { name, key } = asked;
    let (trusted, changed) = served.host.trust_key(&name, &key).await?;
    Ok(Json(wire::KeyTrusted { key: trusted.into(), changed }))
}

async fn distrust_key(State(served): State<Served>, Segment(key): Segment<String>) -> Answer<wire::Key> {
    Ok(Json(served.host.distrust_key(&key).await?.into()))
}

async fn set_policy(State(served): State<Served>, Body(asked): Body<wire::SetPolicy>) -> Answer<wire::Trust> {
    served.host.set_signature_policy(asked.policy.0).await?;
    Ok(Json(served.host.trust().await?.into()))
}

async fn pending(
    State(served): State<Served>,
    Params(query): Params<wire::RequestQuery>,
) -> Answer<Vec<wire::Waiting>> {
    Ok(Json(served.host.pending(query.limit()).await?.iter().map(wire::Waiting::from).collect()))
}

async fn submit(
    State(served): State<Served>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<wire::Request>,
) -> Answer<wire::Submission> {
    let content = serde_json::to_vec(&request).expect("a request holds only text, numbers and lists");
    let request = request.into_rules().map_err(Problem::bad_request)?;
    let submitted = match key {
        None => served.host.submit(request).await?,
        Some(key) => served.host.submit_once(request, key, &content).await?,
    };
    Ok(Json(submitted.into()))
}

async fn cancel(State(served): State<Served>, Segment(identifier): Segment<Identifier>) -> Answer<wire::Cancelled> {
    let host::Cancelled { pending, expired, ended } = served.host.cancel(&identifier).await?;
    Ok(Json(wire::Cancelled { cancelled: pending, expired, ended }))
}

async fn launch_now(
    State(served): State<Served>,
    Segment(identifier): Segment<Identifier>,
    Body(asked): Body<wire::LaunchNow>,
) -> Answer<wire::LaunchedNow> {
    let task = served.host.launch(&identifier, asked.force).await?;
    Ok(Json(wire::LaunchedNow { task: task.0 }))
}

async fn expire_now(
    State(served): State<Served>,
    Segment(identifier): Segment<Identifier>,
    Body(asked): Body<wire::ExpireNow>,
) -> Answer<wire::ExpiredNow> {
    Ok(Json(wire::ExpiredNow { expired: served.host.expire(&identifier, asked.reason.0).await? }))
}

async fn schedules(
    State(served): State<Served>,
    Params(query): Params<wire::ScheduleQuery>,
) -> Answer<Vec<wire::Schedule>> {
    Ok(Json(served.host.schedules(query.into_filter()).await?.into_iter().map(wire::Schedule::from).collect()))
}

async fn schedule(
    State(served): State<Served>,
    Segment(schedule): Segment<ScheduleId>,
    Params(query): Params<wire::TimesQuery>,
) -> Answer<wire::Schedule> {
    Ok(Json(served.host.schedule(&schedule, query.times()).await?.into()))
}

async fn add_schedule(
    State(served): State<Served>,
    Body(asked): Body<wire::AddSchedule>,
) -> Answer<wire::ScheduleGranted> {
    let (bundle, schedule) = asked.into_rules().map_err(Problem::bad_request)?;
    Ok(Json(served.host.put_schedule(bundle, schedule).await?.into()))
}

async fn switch_schedule(
    State(served): State<Served>,
    Segment(schedule): Segment<ScheduleId>,
    Body(switch): Body<wire::SwitchSchedule>,
) -> Answer<wire::ScheduleGranted> {
    Ok(Json(served.host.switch_schedule(&schedule, switch.enabled).await?.into()))
}

async fn remove_schedule(
    State(served): State<Served>,
    Segment(schedule): Segment<ScheduleId>,
) -> Answer<wire::ScheduleGranted> {
    Ok(Json(served.host.remove_schedule(&schedule).await?.into()))
}

async fn tasks(State(served): State<Served>, Params(query): Params<wire::PastQuery>) -> Answer<Vec<wire::Task>> {
    Ok(Json(served.host.tasks(query.into_task_filter()).await?.iter().map(wire::Task::for_list).collect()))
}

async fn history(
    State(served): State<Served>,
    Params(query): Params<wire::PastQuery>,
) -> Answer<Vec<wire::HistoryEntry>> {
    Ok(Json(
        served.host.history(query.into_history_filter()).await?.into_iter().map(wire::HistoryEntry::from).collect(),
    ))
}

async fn task(State(served): State<Served>, Segment(task): Segment<TaskId>) -> Answer<wire::Task> {
    Ok(Json(wire::Task::from(&served.host.task(task).await?)))
}

/// The log as the guest wrote it: bytes, not JSON. Followed, it grows until the task has ended.
async fn log(
    State(served): State<Served>,
    Segment(task): Segment<TaskId>,
    Params(query): Params<wire::LogQuery>,
) -> Result<impl IntoResponse, Problem> {
    let wire::LogQuery { from, follow } = query;
    let log = match follow {
        false => body::Body::from(served.host.log(task, from).await?),
        true => {
            let growing = served.host.follow_log(task, from).await?;
            let written = stream::unfold(growing, |mut growing| async { Some((growing.next().await?, growing)) });
            body::Body::from_stream(written.take_until(served.closing.begun()))
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], log))
}

async fn why(State(served): State<Served>, Segment(identifier): Segment<Identifier>) -> Answer<wire::Why> {
    Ok(Json(wire::Why::from(&served.host.why(&identifier).await?)))
}

async fn conditions(State(served): State<Served>) -> Answer<Vec<wire::Condition>> {
    Ok(Json(wire::Condition::list(&served.host.conditions().await?)))
}

async fn state_condition(
    State(served): State<Served>,
    Body(stated): Body<wire::StateCondition>,
) -> Answer<Vec<wire::Condition>> {
    let wire::StateCondition { condition, holds } = stated;
    Ok(Json(wire::Condition::list(&served.host.state_condition(condition.0, holds).await?)))
}

/// What a running task does, to its end. While the client listens the task is in the foreground: its connection holds the
/// attachment, and however that ends, the attachment ends with it.
async fn attach(
    State(served): State<Served>,
    Segment(task): Segment<TaskId>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    let Served { host, about: _, closing } = served;
    // Heard from before it is attached to: its end may come at any moment.
    let events = events(&host);
    let attachment = host.attach(task).await?;
    let watched = stream::unfold(Some((events, attachment)), move |watching| {
        let host = host.clone();
        async move {
            let (mut events, attachment) = watching?;
            loop {
                let event = events.next().await?;
                let is_last = match &event.what {
                    wire::What::Missed { .. } => !matches!(host.task(task).await, Ok(record) if record.ended.is_none()),
                    what if what.task() != Some(task.0) => continue,
                    what => matches!(what, wire::What::Ended { .. }),
                };
                return Some((event, (!is_last).then_some((events, attachment))));
            }
        }
    });
    Ok(sent(watched.take_until(closing.begun())))
}

async fn event_stream(State(served): State<Served>) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    sent(events(&served.host).take_until(served.closing.begun()))
}

/// Server-sent events, named like their key `event`. Without keep-alive comments: they would wake an idle host.
fn sent(
    events: impl Stream<Item = wire::Event> + Send + 'static,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    Sse::new(events.map(|event| {
        let json = serde_json::to_string(&event).expect("an event holds only text, numbers and lists");
        Ok(sse::Event::default().event(event.what.name()).data(json))
    }))
}
