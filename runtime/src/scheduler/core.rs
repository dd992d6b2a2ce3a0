//! The scheduler without its thread: one step takes what arrived, lets the rules decide, commits once, then acts.
//! Synchronous and without a clock of its own, so that a test can live a thousand lives in a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    event::{Event, InstalledBundle, Loads, Question, Reply, SchedulerError},
    ledger::Ledger,
    staging::Staging,
};
use crate::{
    bundle::Bundle,
    clock::Until,
    conditions::Observer,
    engine::{Engine, Launch, Services},
    rules::*,
    store::{self, Store, StoreError, StoredRequest},
};

/// How many ripe requests one step takes up.
const RIPENING_BATCH: usize = 256;
/// How long to wait before a failed commit is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Hears of everything that happened, once it is durable.
pub type Tell = Box<dyn FnMut(Happening) + Send>;
/// Drops the logs of tasks that history forgets.
pub type Forget = Box<dyn FnMut(&[TaskId]) + Send>;

/// What the scheduler is made of.
pub struct Parts {
    pub policy: Policy,
    pub store: Store,
    pub observer: Observer,
    pub engine: Arc<dyn Engine>,
    pub services: Arc<dyn Services>,
    /// Every installed bundle.
    pub bundles: Vec<InstalledBundle>,
    /// False opens the store for questions and submissions only.
    pub launching: bool,
    pub tell: Tell,
    pub forget: Forget,
}

pub struct Core {
    pub(super) policy: Policy,
    pub(super) store: Store,
    pub(super) observer: Observer,
    engine: Arc<dyn Engine>,
    services: Arc<dyn Services>,
    pub(super) bundles: BTreeMap<BundleId, Installed>,
    /// Those of which nothing may be launched, and why.
    pub(super) closed: BTreeMap<BundleId, Gate>,
    pub(super) staging: Option<Staging>,
    pub(super) running: BTreeMap<TaskId, Running>,
    /// The digests that running tasks were launched from.
    digests: BTreeMap<TaskId, String>,
    pub(super) lanes: Lanes,
    /// Pending requests that were never launched, by bundle and kind.
    pub(super) pending: BTreeMap<(BundleId, KindName), u64>,
    /// Tasks kept, by bundle.
    pub(super) history: BTreeMap<BundleId, u64>,
    pub(super) next_ripening: Option<Timestamp>,
    /// False spares a look-up while nothing runs after anything, or nothing keeps a checkpoint.
    pub(super) runs_after: bool,
    pub(super) checkpoints: bool,
    pub(super) launching: bool,
    /// Whether everything that runs must expire because the host stops.
    pub(super) draining: bool,
    /// Reports of the engine that are not durable yet.
    ended: Vec<(TaskId, End, Usage)>,
    looked_at: Duration,
    /// Whether the machine is said to have changed since.
    asked_to_look: bool,
    /// When history was last looked through for tasks past their age.
    pub(super) aged_at: Option<Timestamp>,
    retry_at: Option<Duration>,
    /// Whether what is kept in memory about the store may be wrong: it could not be read again after a failed commit.
    stale: bool,
    done: Vec<Reply<()>>,
    drained: Vec<Reply<()>>,
    tell: Tell,
    pub(super) forget: Forget,
}

/// A bundle, and what its manifest permits.
#[derive(Clone)]
pub(super) struct Installed {
    pub(super) bundle: Arc<Bundle>,
    pub(super) permits: Permits,
    pub(super) enabled: bool,
}

impl Installed {
    pub(super) fn new(bundle: Arc<Bundle>, enabled: bool) -> Installed {
        let manifest = &bundle.manifest;
        let permits = Permits {
            modes: manifest.background_modes.clone(),
            identifiers: manifest.permitted_identifiers.clone(),
            memory: manifest.memory,
        };
        Installed { bundle, permits, enabled }
    }
}

/// What one step gathers: changes, and what to do once they are durable.
#[derive(Default)]
pub(super) struct Work {
    pub(super) ledger: Ledger,
    pub(super) happenings: Vec<What>,
    /// Requests that became pending or came nearer to running in this step.
    pub(super) moved: Vec<StoredRequest>,
    /// Identifiers that succeeded in this step.
    pub(super) succeeded: BTreeSet<(BundleId, Identifier)>,
    /// Lanes into which this step moves requests that the database does not show there yet.
    pub(super) entering: BTreeSet<Lane>,
    /// Whether another step can do more at once.
    pub(super) again: bool,
    pub(super) forgotten: Vec<TaskId>,
    /// Whether tasks of more than one bundle may be forgotten.
    pub(super) recount_history: bool,
    /// The bundles and their gates as they were before this step, if it changes them.
    bundles_before: Option<(BTreeMap<BundleId, Installed>, BTreeMap<BundleId, Gate>)>,
    launches: Vec<Launch>,
    pub(super) expirations: Vec<(TaskId, Expiring)>,
    answers: Vec<Answer>,
    questions: Vec<Question>,
}

type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

impl Work {
    /// Must be called before a step changes the bundles, so that they can be put back.
    pub(super) fn remember_bundles(&mut self, core: &Core) {
        self.bundles_before.get_or_insert_with(|| (core.bundles.clone(), core.closed.clone()));
    }

    /// Gives `answer` once the step is durable, or the error that kept it from being so.
    pub(super) fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, answer: Result<T, SchedulerError>) {
        self.answers.push(Box::new(move |committed| {
            let answer = committed.map_err(SchedulerError::Store).and(answer);
            // A caller that went away needs no answer.
            let _ = reply.send(answer);
        }));
    }
}

pub(super) fn lane_of(record: &RequestRecord) -> Lane {
    let kind = &record.request.kind;
    Lane { kind: kind.name(), bundle: record.bundle.clone(), needs: kind.needs() }
}

impl Core {
    /// Takes up what the store holds; tasks that ran when the host died are interrupted, and their requests come back.
    pub fn new(now: Now, parts: Parts) -> Result<Core, StoreError> {
        let Parts { policy, store, observer, engine, services, bundles, launching, tell, forget } = parts;
        let ids: Vec<BundleId> = bundles.iter().map(|installed| installed.bundle.id().clone()).collect();
        let installed = |InstalledBundle { bundle, enabled }| (bundle.id().clone(), Installed::new(bundle, enabled));
        let bundles = bundles.into_iter().map(installed).collect();
        let mut core = Core {
            policy,
            store,
            observer,
            engine,
            services,
            bundles,
            closed: BTreeMap::new(),
            staging: None,
            running: BTreeMap::new(),
            digests: BTreeMap::new(),
            lanes: Lanes::default(),
            pending: BTreeMap::new(),
            history: BTreeMap::new(),
            next_ripening: None,
            runs_after: false,
            checkpoints: false,
            launching,
            draining: false,
            ended: Vec::new(),
            looked_at: now.uptime,
            asked_to_look: false,
            aged_at: None,
            retry_at: None,
            stale: false,
            done: Vec::new(),
            drained: Vec::new(),
            tell,
            forget,
        };
        ids.iter().for_each(|id| core.set_gate(id));
        core.recover(now)?;
        core.reload()?;
        Ok(core)
    }

    /// Takes what arrived, decides, commits once, and acts. Returns whether another step can do more at once.
    pub fn step(&mut self, now: Now, events: Vec<Event>) -> bool {
        if self.stale {
            self.stale = self.reload().is_err();
        }
        let mut work = Work::default();
        let running_before = self.running.clone();
        let decided = self.decide(now, events, &mut work);
        self.note_changes(now, &mut work);
        let Work {
            ledger,
            happenings,
            launches,
            expirations,
            answers,
            questions,
            again,
            forgotten,
            recount_history,
            bundles_before,
            ..
        } = work;
        let statements = ledger.into_statements();
        let committed = decided.and_then(|()| self.store.commit(&statements));
        match &committed {
            Ok(()) => {
                self.retry_at = self.stale.then(|| now.uptime + RETRY_AFTER);
                self.ended.clear();
                if !statements.is_empty() {
                    // Unknown is treated as due: the next step looks again.
                    self.next_ripening = self.store.next_ripening().unwrap_or(Some(now.wall));
                }
                if recount_history && let Ok(counts) = self.store.history_counts() {
                    self.history = counts.into_iter().collect();
                }
                for launch in launches {
                    self.engine.launch(launch, self.services.clone());
                }
            }
            Err(error) => {
                tracing::error!(%error, "step-not-committed");
                let spent: Vec<TaskId> = self.running.values().filter(|it| it.fuel_spent).map(|it| it.task).collect();
                self.running = running_before;
                // The engine says so only once.
                for task in spent {
                    if let Some(running) = self.running.get_mut(&task) {
                        running.fuel_spent = true;
                    }
                }
                if let Some((bundles, closed)) = bundles_before {
                    self.bundles = bundles;
                    self.closed = closed;
                }
                self.retry_at = Some(now.uptime + RETRY_AFTER);
                self.stale = self.reload().is_err();
            }
        }
        // That a task must stop is nothing to record: it is asked whether or not the store works.
        for (task, expiring) in expirations {
            self.engine.expire(task, expiring.reason, expiring.stop_at);
        }
        for answer in answers {
            answer(committed.clone());
        }
        if committed.is_ok() {
            for what in happenings {
                self.tell(now, what);
            }
            if !forgotten.is_empty() {
                (self.forget)(&forgotten);
            }
        }
        for question in questions {
            question(now, self);
        }
        let again = again && committed.is_ok();
        if !again {
            self.answer_those_who_wait(now);
        }
        again
    }

    /// When the next step is due if nothing arrives.
    pub fn next_wake_up(&self) -> Until {
        if let Some(retry_at) = self.retry_at {
            return Until { wall: None, uptime: Some(retry_at) };
        }
        let limits = self.running.values().filter(|running| running.expiring.is_none()).filter_map(Running::time_limit);
        let look = self.stands_on_conditions().then(|| self.looked_at + self.policy.sampling);
        Until { wall: self.next_ripening.filter(|_| self.launching), uptime: limits.chain(look).min() }
    }

    /// The tasks that run now.
    pub fn running(&self) -> impl Iterator<Item = &Running> {
        self.running.values()
    }

    pub fn conditions(&self) -> &Conditions {
        self.observer.current()
    }

    /// What happens to bundles and requests goes into history with the step that makes it true.
    fn note_changes(&self, now: Now, work: &mut Work) {
        let changes: Vec<HistoryEntry> = work.happenings.iter().filter_map(HistoryEntry::of).collect();
        let bundles: BTreeSet<&BundleId> = changes.iter().map(|change| &change.bundle).collect();
        for bundle in bundles {
            let own = changes.iter().filter(|change| change.bundle == *bundle);
            // Those that would be forgotten at once are not written.
            let most = usize::try_from(self.policy.history_changes).unwrap_or(usize::MAX);
            let skipped = own.clone().count().saturating_sub(most);
            work.ledger.write_all(own.skip(skipped).map(|change| store::note_in_history(now.wall, change)));
            work.ledger.write(store::bound_history(bundle, self.policy.history_changes));
        }
    }

    pub(super) fn tell(&mut self, now: Now, what: What) {
        (self.tell)(Happening { at: now.wall, what });
    }

    fn decide(&mut self, now: Now, events: Vec<Event>, work: &mut Work) -> Result<(), StoreError> {
        self.asked_to_look |= events.iter().any(|event| matches!(event, Event::Look));
        self.look_if_due(now, work);
        // After a failure the rest is taken all the same: reports are kept, and every caller hears of it.
        let failures: Vec<StoreError> =
            events.into_iter().filter_map(|event| self.take(now, event, work).err()).collect();
        if let Some(error) = failures.into_iter().next() {
            return Err(error);
        }
        for (task, end, usage) in std::mem::take(&mut self.ended) {
            let settled = self.settle(now, task, &end, usage, work);
            self.ended.push((task, end, usage));
            settled?;
        }
        self.expire_what_must(now, work);
        self.ripen(now, work)?;
        // What arrived or ripened may be the first for long that depends on the machine.
        self.look_if_due(now, work);
        self.launch_ready(now, work)?;
        self.tell_waiting(now, work)
    }

    pub(super) fn take(&mut self, now: Now, event: Event, work: &mut Work) -> Result<(), StoreError> {
        let Some(event) = self.hold(event) else { return Ok(()) };
        match event {
            Event::Submit { bundle, request, reply } => {
                let answer = self.submit(now, bundle, request, None, work);
                return pass_on(work, reply, answer);
            }
            Event::Cancel { bundle, identifier, cause, reply } => {
                let answer = self.cancel(bundle, identifier, cause, work);
                return pass_on(work, reply, answer);
            }
            Event::Ended { task, end, usage } => self.ended.push((task, end, usage)),
            Event::FuelSpent { task } => {
                if let Some(running) = self.running.get_mut(&task) {
                    running.fuel_spent = true;
                }
            }
            Event::Progressed { task, progress } => self.progressed(task, progress, work),
            Event::SaveCheckpoint { task, checkpoint, reply } => {
                let answer = self.save_checkpoint(task, checkpoint, work);
                work.answer(reply, answer);
            }
            Event::Stage { bundle, reply } => {
                let answer = self.stage(now, bundle, work);
                return pass_on(work, reply, answer);
            }
            Event::RehearseSubmit { bundle, request, reply } => {
                let answer = self.rehearse_submit(now, &bundle, request);
                return pass_on(work, reply, answer);
            }
            Event::RehearseCancel { bundle, identifier, reply } => {
                let answer = self.rehearse_cancel(&bundle, identifier);
                return pass_on(work, reply, answer);
            }
            Event::Abandon => return self.abandon(now, work),
            Event::Change { change, reply } => {
                let answer = self.change(now, change, work);
                return pass_on(work, reply, answer);
            }
            Event::Apply { bundle, reply } => {
                let answer = self.apply(now, &bundle, work);
                return pass_on(work, reply, answer);
            }
            Event::Uninstall { bundle, keep_data, reply } => {
                let answer = self.uninstall(now, &bundle, keep_data, work);
                return pass_on(work, reply, answer);
            }
            Event::DropKeptData { bundle, reply } => {
                work.ledger.write_all(store::drop_kept_data(&bundle));
                work.answer(reply, Ok(()));
            }
            Event::StateCondition { condition, holds, reply } => {
                let before = self.observer.current().clone();
                match holds {
                    Some(holds) => self.observer.state(now, condition, holds),
                    None => self.observer.release(now, condition),
                }
                self.tell_conditions(&before, work);
                let conditions = self.observer.current().clone();
                work.answer(reply, Ok(conditions));
            }
            // Taken up at the beginning of the step.
            Event::Look => {}
            Event::Drain { reply } => {
                self.launching = false;
                self.draining = true;
                self.drained.push(reply);
            }
            Event::Done { reply } => self.done.push(reply),
            Event::Ask(question) => work.questions.push(question),
        }
        Ok(())
    }

    fn look_if_due(&mut self, now: Now, work: &mut Work) {
        let due = self.asked_to_look || self.looked_at + self.policy.sampling <= now.uptime;
        if due && self.stands_on_conditions() {
            self.look(now, work);
        }
    }

    /// Looks at the machine again.
    pub(super) fn look(&mut self, now: Now, work: &mut Work) {
        let before = self.observer.current().clone();
        self.observer.look(now);
        self.looked_at = now.uptime;
        self.asked_to_look = false;
        self.tell_conditions(&before, work);
    }

    /// Whether something that waits ready or runs depends on conditions: only then they are worth a look.
    fn stands_on_conditions(&self) -> bool {
        let depends = |lane: &Lane| !self.closed.contains_key(&lane.bundle) && needed(lane).next().is_some();
        let waiting = self.launching && self.lanes.iter().any(depends);
        waiting || self.running.values().any(|running| needed(&running.lane).next().is_some())
    }

    fn tell_conditions(&self, before: &Conditions, work: &mut Work) {
        for condition in Condition::ALL {
            let reading = self.observer.current().reading(*condition);
            if before.reading(*condition).holds != reading.holds {
                work.happenings.push(What::ConditionChanged {
                    condition: *condition,
                    holds: reading.holds,
                    source: reading.source.clone(),
                });
            }
        }
    }

    fn ripen(&mut self, now: Now, work: &mut Work) -> Result<(), StoreError> {
        if self.next_ripening.is_none_or(|at| at > now.wall) {
            return Ok(());
        }
        for stored in self.store.ripe(now.wall, RIPENING_BATCH)? {
            if work.ledger.is_current(&stored) {
                self.restage(&stored, Stage::Ready, work);
            }
        }
        Ok(())
    }

    /// Moves a pending request to another stage. Ready, it is seen in its lane by the next step, or by this one if it
    /// was made in it.
    pub(super) fn restage(&mut self, stored: &StoredRequest, to: Stage, work: &mut Work) {
        work.ledger.restage(stored, to);
        work.again = true;
        if to == Stage::Ready {
            self.enter_lane(&stored.record, work);
        }
        work.moved.push(StoredRequest { stage: to, ..stored.clone() });
    }

    pub(super) fn enter_lane(&mut self, record: &RequestRecord, work: &mut Work) {
        let lane = lane_of(record);
        self.lanes.enter(&lane);
        work.entering.insert(lane);
    }

    fn launch_ready(&mut self, now: Now, work: &mut Work) -> Result<(), StoreError> {
        let fresh = work.ledger.fresh_ready();
        let looks = self.lanes.looks(self.world());
        for Look { lane, limit } in looks {
            let mut heads = self.store.heads(&lane, limit)?;
            let more_behind = heads.len() == limit;
            heads.retain(|stored| work.ledger.is_current(stored));
            heads.extend(fresh.iter().filter(|stored| lane_of(&stored.record) == lane).cloned());
            heads.sort_by_key(|stored| (std::cmp::Reverse(stored.record.request.priority), stored.record.id));
            let limit = limit.min(self.policy.slots - self.running.len());
            let more_here = heads.len() > limit;
            heads.truncate(limit);
            for stored in heads {
                self.launch(now, stored, work);
            }
            if !more_behind && !more_here && !work.entering.contains(&lane) {
                self.lanes.leave(&lane);
            }
        }
        // Slots may be left while lanes are: some were not looked at, some have more.
        work.again |= !self.lanes.looks(self.world()).is_empty();
        Ok(())
    }

    fn launch(&mut self, now: Now, stored: StoredRequest, work: &mut Work) {
        let Some(installed) = self.bundles.get(&stored.record.bundle) else { return };
        let lane = lane_of(&stored.record);
        let digest = installed.bundle.digest.clone();
        work.ledger.restage(&stored, Stage::Launched);
        let RequestRecord { id, bundle, request, attempt, .. } = stored.record;
        let task = self.store.new_task_id();
        let kind = request.kind.name();
        let allowance = self.policy.allowance(kind, installed.permits.memory);
        work.ledger.write(store::insert_task(&TaskRecord {
            id: task,
            request: id,
            bundle: bundle.clone(),
            identifier: request.identifier.clone(),
            kind,
            attempt,
            launched_at: now.wall,
            progress: None,
            ended: None,
        }));
        work.happenings.push(What::Launched {
            bundle: bundle.clone(),
            identifier: request.identifier.clone(),
            request: id,
            task,
            kind,
            attempt,
        });
        work.launches.push(Launch {
            task,
            bundle: installed.bundle.clone(),
            identifier: request.identifier.clone(),
            kind: request.kind,
            attempt,
            input: request.input,
            allowance,
        });
        if attempt == 1 {
            self.uncount(&bundle, kind);
        }
        self.lanes.serve(&lane);
        self.digests.insert(task, digest);
        // A request that was launched before may be followed by a newer one; one launched for the first time is not:
        // the newer would have replaced it.
        let followed = attempt > 1;
        self.running.insert(
            task,
            Running {
                task,
                request: id,
                lane,
                identifier: request.identifier,
                attempt,
                launched: now,
                allowance,
                fuel_spent: false,
                progress: None,
                expiring: None,
                followed,
            },
        );
    }

    pub(super) fn world(&self) -> World<'_> {
        World {
            conditions: self.observer.current(),
            closed: &self.closed,
            launching: self.launching,
            slots: self.policy.slots,
            running: self.running.len(),
        }
    }

    pub(super) fn count(&mut self, bundle: &BundleId, kind: KindName) {
        *self.pending.entry((bundle.clone(), kind)).or_default() += 1;
    }

    pub(super) fn uncount(&mut self, bundle: &BundleId, kind: KindName) {
        if let Some(count) = self.pending.get_mut(&(bundle.clone(), kind)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Unfinished work by bundle.
    pub fn loads(&self) -> Loads {
        let mut loads = Loads::new();
        for ((bundle, _), pending) in &self.pending {
            loads.entry(bundle.clone()).or_default().pending += pending;
        }
        for running in self.running.values() {
            loads.entry(running.lane.bundle.clone()).or_default().running += 1;
        }
        loads
    }

    /// The digests that running tasks were launched from.
    pub fn running_digests(&mut self) -> BTreeSet<String> {
        self.digests.retain(|task, _| self.running.contains_key(task));
        self.digests.values().cloned().collect()
    }

    /// Reads from the store what the step keeps in memory about it.
    fn reload(&mut self) -> Result<(), StoreError> {
        self.pending =
            self.store.pending_counts()?.into_iter().map(|(bundle, kind, count)| ((bundle, kind), count)).collect();
        self.history = self.store.history_counts()?.into_iter().collect();
        self.next_ripening = self.store.next_ripening()?;
        self.runs_after = self.store.has_run_after()?;
        self.checkpoints = self.store.has_checkpoints()?;
        for lane in self.store.lanes()? {
            self.lanes.enter(&lane);
        }
        Ok(())
    }

    fn answer_those_who_wait(&mut self, now: Now) {
        // Ends that cannot be recorded keep no host from stopping: the next one finds those tasks interrupted.
        let ended = |task: &TaskId| self.ended.iter().any(|(ended, ..)| ended == task);
        if self.running.keys().all(ended) {
            for reply in self.drained.drain(..) {
                let _ = reply.send(Ok(()));
            }
        }
        if !self.done.is_empty() && self.is_done(now) {
            for reply in self.done.drain(..) {
                let _ = reply.send(Ok(()));
            }
        }
    }

    /// Whether nothing runs and nothing waits for anything but a later date, or for its bundle's operator. What runs after
    /// another, or stands behind it, waits for that one's date.
    fn is_done(&mut self, now: Now) -> bool {
        self.running.is_empty()
            && self.ended.is_empty()
            && self.next_ripening.is_none_or(|at| at > now.wall)
            && self.none_ready().unwrap_or(false)
    }

    fn none_ready(&mut self) -> Result<bool, StoreError> {
        match self.closed.is_empty() {
            true => Ok(!self.store.any_ready()?),
            false => Ok(self.store.lanes()?.iter().all(|lane| self.closed.contains_key(&lane.bundle))),
        }
    }
}

/// Answers what was decided; an unreadable store fails the whole step.
fn pass_on<T: Send + 'static>(
    work: &mut Work,
    reply: Reply<T>,
    answer: Result<T, SchedulerError>,
) -> Result<(), StoreError> {
    let failure = match &answer {
        Err(SchedulerError::Store(error)) => Err(error.clone()),
        Ok(_) | Err(SchedulerError::Refused(_) | SchedulerError::Unknown(_) | SchedulerError::Stopping) => Ok(()),
    };
    work.answer(reply, answer);
    failure
}
