//! What a guest may call: one context struct per call, and the contract's imports on it.
//! Which functions answer depends on which export runs: `register` may ask nothing, `activate` may speak to the scheduler,
//! and only `launch` has a task.

use std::sync::Arc;

use wasmtime::{
    UpdateDeadline, bail,
    component::{Accessor, HasSelf, Resource, ResourceTable},
};
use wasmtime_wasi::{
    WasiCtx, WasiCtxView, WasiView, async_trait,
    filesystem::WasiFilesystemCtxView,
    p2::{DynPollable, Pollable, subscribe},
};

use crate::{
    clock::Clock,
    rules::{BundleId, Identifier, Kind, Progress, Refusal, RefusalCode, Request, TaskId},
};

use super::{
    Asker, Services,
    contract::{
        Titles, expiration, kind_to_guest, milliseconds, reason_to_guest, refusal_to_guest, request_from_guest,
        request_to_guest, scheduler, task, types,
    },
    deadlines::{Deadlines, Due},
    http::Http,
    log::Log,
    meter::{Bounds, FuelMeter},
    quota::{Files, FilesView},
    watch::{Report, Watch},
};

/// The context of one call.
pub(super) struct Guest {
    role: Role,
    wasi: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) http: Http,
    files: Files,
    titles: Titles,
    submissions: Submissions,
    clock: Arc<dyn Clock>,
    deadlines: Arc<Deadlines>,
    watch: Arc<Watch>,
    pub(super) fuel: FuelMeter,
    pub(super) bounds: Bounds,
}

/// How many requests a call may submit, and did.
struct Submissions {
    most: u32,
    made: u32,
}

/// Which export runs, and on whose behalf.
pub(super) enum Role {
    Registering,
    Activating { bundle: BundleId, services: Arc<dyn Services> },
    Launched(Launched),
}

/// The running task.
pub(super) struct Launched {
    pub(super) task: TaskId,
    pub(super) bundle: BundleId,
    pub(super) kind: Kind,
    pub(super) attempt: u32,
    pub(super) services: Arc<dyn Services>,
}

/// What a context is made of.
pub(super) struct GuestParts {
    pub(super) role: Role,
    pub(super) log: Log,
    /// How many files, streams and the like it may hold open at once.
    pub(super) handles: usize,
    /// Its environment.
    pub(super) variables: Vec<(String, String)>,
    pub(super) http: Http,
    pub(super) files: Files,
    pub(super) titles: Titles,
    /// How many requests it may submit.
    pub(super) submissions: u32,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) deadlines: Arc<Deadlines>,
    pub(super) watch: Arc<Watch>,
    pub(super) fuel: FuelMeter,
    pub(super) bounds: Bounds,
}

impl Guest {
    pub(super) fn new(parts: GuestParts) -> Guest {
        let GuestParts {
            role,
            log,
            handles,
            variables,
            http,
            files,
            titles,
            submissions,
            clock,
            deadlines,
            watch,
            fuel,
            bounds,
        } = parts;
        let wasi = WasiCtx::builder().envs(&variables).stdout(log.clone()).stderr(log).build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(handles);
        let submissions = Submissions { most: submissions, made: 0 };
        Guest { role, wasi, table, http, files, titles, submissions, clock, deadlines, watch, fuel, bounds }
    }

    /// The guest's files, for `wasi:filesystem`.
    pub(super) fn files(&mut self) -> FilesView<'_> {
        let Guest { wasi, table, files, .. } = self;
        FilesView { wasi: WasiFilesystemCtxView { ctx: wasi.filesystem(), table }, files }
    }

    /// At each beat: meters, and gives the turn away if somebody waits for it.
    pub(super) fn beat(&mut self, fuel_left: u64) -> UpdateDeadline {
        self.meter(fuel_left);
        self.watch.seat.cut(self.watch.tally.fuel());
        UpdateDeadline::Yield(1)
    }

    /// Notes what fuel is left, and tells once that the allowed part is used up.
    pub(super) fn meter(&mut self, fuel_left: u64) {
        self.fuel.read(fuel_left);
        if let Role::Launched(launched) = &self.role
            && self.fuel.crossed()
        {
            launched.services.fuel_spent(launched.task);
        }
    }

    /// Who asks, and whom. Traps in `register`, saying what it may not do.
    fn asker(&self, what: &str) -> wasmtime::Result<(Asker, &Arc<dyn Services>)> {
        match &self.role {
            Role::Registering => bail!("register may not {what}"),
            Role::Activating { bundle, services } => Ok((Asker::Activation(bundle.clone()), services)),
            Role::Launched(launched) => Ok((Asker::Task(launched.task, launched.bundle.clone()), &launched.services)),
        }
    }

    /// The running task. Traps outside `launch`, naming the function.
    fn launched(&self, function: &str) -> wasmtime::Result<&Launched> {
        match &self.role {
            Role::Launched(launched) => Ok(launched),
            Role::Registering => bail!("{function} was called in register, where no task runs: call it in launch"),
            Role::Activating { .. } => {
                bail!("{function} was called in activate, where no task runs: call it in launch")
            }
        }
    }

    /// Passes a report on, now or when it is its time.
    fn report(&self, report: Report) {
        if let Some(due) = self.watch.report(self.clock.now().uptime, report) {
            self.deadlines.set(due, Due::Report, self.watch.clone());
        }
    }

    /// The end of the task, as something to wait for beside other things.
    pub(super) fn subscribe(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        self.launched("expiration-poll.subscribe")?;
        let ending = self.table.push(Expiration(self.watch.clone()))?;
        subscribe(&mut self.table, ending)
    }
}

impl Submissions {
    /// Lets a request pass while there are not too many.
    fn add(&mut self, request: Request) -> Result<Request, Refusal> {
        let Submissions { most, made } = self;
        if made >= most {
            let message =
                format!("one launch may submit {most} requests, and this one has: submit the next from another");
            return Err(Refusal { code: RefusalCode::TooManyPendingTaskRequests, message });
        }
        *made += 1;
        Ok(request)
    }
}

/// A task's expiration as a thing of `wasi:io/poll`.
struct Expiration(Arc<Watch>);

#[async_trait]
impl Pollable for Expiration {
    async fn ready(&mut self) {
        self.0.expired().await;
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for Guest {}

impl scheduler::Host for Guest {
    async fn submit(
        &mut self,
        request: types::Request,
    ) -> wasmtime::Result<Result<types::Submission, types::SubmitError>> {
        let (asker, services) = self.asker("submit")?;
        let services = services.clone();
        let request = request_from_guest(request, &self.titles).and_then(|request| self.submissions.add(request));
        let request = match request {
            Ok(request) => request,
            Err(refusal) => return Ok(Err(refusal_to_guest(refusal))),
        };
        let answer = services.submit(asker, request).await;
        Ok(answer
            .map(|submission| types::Submission {
                request_id: submission.request.to_string(),
                replaced: submission.replaced,
            })
            .map_err(refusal_to_guest))
    }

    /// A name that is none has nothing pending.
    async fn cancel(&mut self, identifier: String) -> wasmtime::Result<()> {
        let (asker, services) = self.asker("cancel")?;
        if let Ok(identifier) = Identifier::parse(&identifier) {
            services.cancel(asker, Some(identifier)).await;
        }
        Ok(())
    }

    async fn cancel_all(&mut self) -> wasmtime::Result<()> {
        let (asker, services) = self.asker("cancel")?;
        services.cancel(asker, None).await;
        Ok(())
    }

    async fn pending_requests(&mut self) -> wasmtime::Result<Vec<types::Request>> {
        let (asker, services) = self.asker("ask for pending requests")?;
        Ok(services.pending(asker).await.into_iter().map(request_to_guest).collect())
    }

    /// None, on every machine: neither WASI nor the contract has a way from a guest to a graphics processor.
    fn supported_resources(&mut self) -> wasmtime::Result<types::Resources> {
        self.asker("ask for supported resources")?;
        Ok(types::Resources::empty())
    }
}

impl expiration::Host for Guest {}

/// It holds nothing of the store while it waits, so that the guest goes on with its other work.
impl<T: Send> expiration::HostWithStore<T> for HasSelf<Guest> {
    async fn wait(accessor: &Accessor<T, HasSelf<Guest>>) -> wasmtime::Result<types::ExpirationReason> {
        let watch = accessor.with(|mut access| {
            let guest = access.get();
            guest.launched("expiration.wait").map(|_| guest.watch.clone())
        })?;
        Ok(reason_to_guest(watch.expired().await))
    }
}

impl task::Host for Guest {
    fn id(&mut self) -> wasmtime::Result<String> {
        Ok(self.launched("task.id")?.task.to_string())
    }

    fn kind(&mut self) -> wasmtime::Result<types::TaskKind> {
        Ok(kind_to_guest(&self.launched("task.kind")?.kind))
    }

    fn attempt(&mut self) -> wasmtime::Result<u32> {
        Ok(self.launched("task.attempt")?.attempt)
    }

    fn time_remaining(&mut self) -> wasmtime::Result<Option<u64>> {
        self.launched("task.time-remaining")?;
        Ok(self.watch.time_remaining(self.clock.now().uptime).map(milliseconds))
    }

    /// As of the last reading; the linker puts a reading before it.
    fn fuel_remaining(&mut self) -> wasmtime::Result<u64> {
        self.launched("task.fuel-remaining")?;
        Ok(self.fuel.remaining())
    }

    fn expiration(&mut self) -> wasmtime::Result<Option<types::ExpirationReason>> {
        self.launched("task.expiration")?;
        Ok(self.watch.expiration().map(reason_to_guest))
    }

    /// More completed than there is counts as all of it; a total of 0 means that it is not known.
    fn set_progress(&mut self, completed: u64, total: u64) -> wasmtime::Result<()> {
        self.launched("task.set-progress")?;
        let completed = if total == 0 { completed } else { completed.min(total) };
        self.report(Report::Progress(Progress { completed, total }));
        Ok(())
    }

    fn update_title(&mut self, title: String, subtitle: String) -> wasmtime::Result<()> {
        self.launched("task.update-title")?;
        let [title, subtitle] = [title, subtitle].map(|text| self.titles.shown(text));
        self.report(Report::Titles { title, subtitle });
        Ok(())
    }

    async fn checkpoint(&mut self) -> wasmtime::Result<Option<Vec<u8>>> {
        let launched = self.launched("task.checkpoint")?;
        Ok(launched.services.checkpoint(launched.task).await)
    }

    async fn save_checkpoint(&mut self, checkpoint: Vec<u8>) -> wasmtime::Result<Result<(), String>> {
        let launched = self.launched("task.save-checkpoint")?;
        Ok(launched.services.save_checkpoint(launched.task, checkpoint).await)
    }
}
