//! The scheduler without its thread: one step takes what arrived, lets the rules decide, commits once, then acts.
//! Synchronous and without a clock of its own, so that a test can live a thousand lives in a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    event::{Event, InstalledBundle, Loads, Question, Reply, SchedulerError},
    launching::crowd,
    ledger::Ledger,
    schedules::{Agenda, ChangedSchedules},
    staging::Staging,
};
use crate::{
    bundle::Bundle,
    clock::Until,
    conditions::Observer,
    engine::{Engine, Launch, Services},
    rules::*,
    store::{self, KeptSubmission, Store, StoreError, StoredRequest},
};

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
    pub(super) crowd: Crowd,
    /// What bundles have used up of what they may.
    pub(super) paces: Paces,
    /// The digests that running tasks were launched from.
    pub(super) digests: BTreeMap<TaskId, String>,
    pub(super) lanes: Lanes,
    /// Requests that count against the limits, by bundle and kind.
    pub(super) pending: BTreeMap<(BundleId, KindName), u64>,
    /// Tasks kept, by bundle.
    pub(super) history: BTreeMap<BundleId, u64>,
    /// When the next floor is reached, when to wake for it, and when the next latest begin is.
    pub(super) next_floor: Option<Timestamp>,
    pub(super) next_ripening: Option<Timestamp>,
    pub(super) next_latest_begin: Option<Timestamp>,
    /// When a bundle may be served again that has used up what it may.
    pub(super) next_pace: Option<Timestamp>,
    pub(super) agenda: Agenda,
    /// False spares a look-up while nothing runs after anything, or nothing keeps a checkpoint.
    pub(super) runs_after: bool,
    pub(super) checkpoints: bool,
    /// None while the host launches; else since when it does not.
    pub(super) not_launching: Option<Timestamp>,
    /// The uptime at which a continued task last gave way to pressure.
    pub(super) pressed_at: Option<Duration>,
    /// Whether everything that runs must expire because the host stops.
    pub(super) draining: bool,
    /// Reports of the engine that are not durable yet.
    ended: Vec<(TaskId, End, Usage)>,
    pub(super) looked_at: Duration,
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
            enabled,
            modes: manifest.background_modes.clone(),
            identifiers: manifest.permitted_identifiers.clone(),
            entitlements: manifest.entitlements.clone(),
            enrolled: bundle.is_enrolled(),
            memory: manifest.memory,
        };
        Installed { bundle, permits, enabled }
    }
}

/// What one step gathers: changes, and what to do once they are durable.
#[derive(Default)]
pub(super) struct Work {
    pub(super) ledger: Ledger,
    pub(super) schedules: ChangedSchedules,
    pub(super) happenings: Vec<What>,
    /// Requests that became pending or came nearer to running in this step.
    pub(super) moved: Vec<StoredRequest>,
    /// Identifiers that succeeded in this step.
    pub(super) succeeded: BTreeSet<(BundleId, Identifier)>,
    /// Lanes into which this step moves requests that the database does not show there yet.
    pub(super) entering: BTreeSet<Lane>,
    /// Lanes from which this step took requests without launching them: they may hold nothing more.
    pub(super) thinned: BTreeSet<Lane>,
    /// Whether another step can do more at once.
    pub(super) again: bool,
    pub(super) forgotten: Vec<TaskId>,
    /// Whether tasks of more than one bundle may be forgotten.
    pub(super) recount_history: bool,
    /// The bundles and their gates as they were before this step, if it changes them.
    bundles_before: Option<(BTreeMap<BundleId, Installed>, BTreeMap<BundleId, Gate>)>,
    pub(super) launches: Vec<Launch>,
    pub(super) expirations: Vec<(TaskId, Expiring)>,
    /// What else is to be done to running tasks.
    pub(super) handlings: Vec<(TaskId, Handling)>,
    /// Submissions of this step that were made under a key.
    pub(super) keys: BTreeMap<String, KeptSubmission>,
    /// Whether all this is only rehearsed: then what runs is left alone.
    pub(super) rehearsed: bool,
    answers: Vec<Answer>,
    questions: Vec<Question>,
}

/// What is done to a running task, besides asking it to stop.
pub(super) enum Handling {
    Suspend,
    Resume,
    Foreground(bool),
}

type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

impl Work {
    /// What stands in it gives answers, and is never done.
    pub(super) fn rehearsed() -> Work {
        Work { rehearsed: true, ..Work::default() }
    }

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
            crowd: Crowd::none(),
            paces: Paces::new(),
            digests: BTreeMap::new(),
            lanes: Lanes::default(),
            pending: BTreeMap::new(),
            history: BTreeMap::new(),
            next_floor: None,
            next_ripening: None,
            next_latest_begin: None,
            next_pace: None,
            agenda: Agenda::default(),
            runs_after: false,
            checkpoints: false,
            not_launching: (!launching).then_some(now.wall),
            pressed_at: None,
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
        for id in &ids {
            let since = core.store.last_change(id)?.unwrap_or(now.wall);
            core.set_gate(since, id);
        }
        core.recover(now)?;
        core.reload(now)?;
        Ok(core)
    }

    /// Takes what arrived, decides, commits once, and acts. Returns whether another step can do more at once.
    pub fn step(&mut self, now: Now, events: Vec<Event>) -> bool {
        if self.stale {
            self.stale = self.reload(now).is_err();
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
            handlings,
            answers,
            questions,
            again,
            forgotten,
            thinned,
            recount_history,
            bundles_before,
            schedules,
            ..
        } = work;
        let statements = ledger.into_statements(&self.policy);
        let committed = decided.and_then(|()| self.store.commit(&statements));
        match &committed {
            Ok(()) => {
                self.retry_at = self.stale.then(|| now.uptime + RETRY_AFTER);
                self.ended.clear();
                if !statements.is_empty() {
                    self.read_dates(now);
                }
                for lane in thinned {
                    if self.store.heads(&lane, 1).is_ok_and(|heads| heads.is_empty()) {
                        self.lanes.leave(&lane);
                    }
                }
                if !schedules.is_empty() {
                    self.schedules_changed(now);
                }
                if recount_history && let Ok(counts) = self.store.history_counts() {
                    self.history = counts.into_iter().collect();
                }
                for launch in launches {
                    self.engine.launch(launch, self.services.clone());
                }
                for (task, handling) in &handlings {
                    match handling {
                        Handling::Suspend => self.engine.suspend(*task),
                        Handling::Resume => self.engine.resume(*task),
                        Handling::Foreground(_) => {}
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "step-not-committed");
                let spent: Vec<TaskId> = self.running.values().filter(|it| it.fuel_spent).map(|it| it.task).collect();
                self.running = keep_what_was_heard(running_before, &self.running, &expirations, now);
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
                self.crowd = crowd(&self.running);
                self.stale = self.reload(now).is_err();
            }
        }
        for (task, handling) in handlings {
            if let Handling::Foreground(foreground) = handling {
                self.engine.set_foreground(task, foreground);
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
        let orders = self.running.values().filter_map(|running| running.next_order(&self.policy));
        let look = self.stands_on_conditions().then(|| self.looked_at + self.policy.sampling);
        let dates = [self.next_ripening, self.next_latest_begin, self.next_pace, self.agenda.next];
        let wall = dates.into_iter().flatten().min().filter(|_| self.not_launching.is_none());
        Until { wall, uptime: orders.chain(look).min() }
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
        self.give_orders(now, work);
        self.fire_schedules(now, work)?;
        self.ripen(now, work)?;
        self.make_urgent(now, work)?;
        self.launch_ready(now, work)?;
        self.tell_waiting(now, work)?;
        self.settle_schedules(now, work);
        Ok(())
    }

    pub(super) fn take(&mut self, now: Now, event: Event, work: &mut Work) -> Result<(), StoreError> {
        let Some(event) = self.hold(event) else { return Ok(()) };
        match event {
            Event::Submit { bundle, request, key, reply } => {
                let answer = self.submit_once(now, bundle, request, key, work);
                return pass_on(work, reply, answer);
            }
            Event::Cancel { bundle, identifier, cause, reply } => {
                let answer = self.cancel(now, bundle, identifier, cause, work);
                return pass_on(work, reply, answer);
            }
            Event::LaunchNow { identifier, force, reply } => {
                let answer = self.launch_now(now, &identifier, force, work);
                return pass_on(work, reply, answer);
            }
            Event::ExpireNow { identifier, reason, reply } => {
                let answer = self.expire_now(now, &identifier, reason, work);
                return pass_on(work, reply, answer);
            }
            Event::Attach { task, reply } => {
                let answer = self.attach(task, work);
                work.answer(reply, answer);
            }
            Event::Detach { task } => self.detach(task, work),
            Event::Ended { task, end, usage } => self.ended.push((task, end, usage)),
            Event::FuelSpent { task } => {
                if let Some(running) = self.running.get_mut(&task) {
                    running.fuel_spent = true;
                }
            }
            Event::Progressed { task, progress } => self.progressed(now, task, progress, work),
            Event::Titled { task, title, subtitle } => self.titled(task, Title { title, subtitle }, work),
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
                let answer = self.rehearse_cancel(now, &bundle, identifier);
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
                work.happenings.push(What::DataDropped { bundle });
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
            Event::Conditions { reply } => {
                self.look(now, work);
                let conditions = self.observer.current().clone();
                work.answer(reply, Ok(conditions));
            }
            // Taken up at the beginning of the step.
            Event::Look => {}
            Event::Schedule { wish, reply } => {
                let answer = self.grant_wish(now, wish, work);
                return pass_on(work, reply, answer);
            }
            Event::Drain { reply } => {
                self.not_launching.get_or_insert(now.wall);
                self.draining = true;
                self.drained.push(reply);
            }
            Event::Done { reply } => self.done.push(reply),
            Event::Ask(question) => work.questions.push(question),
        }
        Ok(())
    }

    fn look_if_due(&mut self, now: Now, work: &mut Work) {
        if self.is_look_due(now) && self.stands_on_conditions() {
            self.look(now, work);
        }
    }

    /// Looks before somebody is answered by what was seen too long ago.
    pub(super) fn look_if_old(&mut self, now: Now, work: &mut Work) {
        if self.is_look_due(now) {
            self.look(now, work);
        }
    }

    /// Whether what was seen last is old, or said to be.
    fn is_look_due(&self, now: Now) -> bool {
        self.asked_to_look || self.looked_at + self.policy.sampling <= now.uptime
    }

    /// Looks at the machine again.
    pub(super) fn look(&mut self, now: Now, work: &mut Work) {
        let before = self.observer.current().clone();
        self.observer.look(now);
        self.looked_at = now.uptime;
        self.asked_to_look = false;
        self.tell_conditions(&before, work);
    }

    /// Whether something that runs depends on conditions, or something ready waits for them: only then they are worth a look.
    fn stands_on_conditions(&self) -> bool {
        let conditions = self.observer.current();
        let lacks = |lane: &Lane| lacking(conditions, lane).next().is_some();
        let waiting = || self.lanes.iter().any(|lane| !self.closed.contains_key(&lane.bundle) && lacks(lane));
        let stands = |running: &Running| {
            let gives_way = running.lane.kind == KindName::ContinuedProcessing;
            !running.forced && (gives_way || needed(&running.lane).next().is_some())
        };
        self.running.values().any(stands) || (self.not_launching.is_none() && waiting())
    }

    /// Looks before something is launched by what was seen too long ago.
    pub(super) fn look_before_launching(&mut self, now: Now, work: &mut Work) {
        if self.is_look_due(now)
            && self.not_launching.is_none()
            && self.lanes.iter().any(|lane| !self.closed.contains_key(&lane.bundle))
        {
            self.look(now, work);
        }
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
    fn reload(&mut self, now: Now) -> Result<(), StoreError> {
        self.pending =
            self.store.pending_counts()?.into_iter().map(|(bundle, kind, count)| ((bundle, kind), count)).collect();
        self.history = self.store.history_counts()?.into_iter().collect();
        self.paces = self.store.paces()?;
        self.read_dates(now);
        self.agenda = Agenda::load(&mut self.store)?;
        self.runs_after = self.store.has_run_after()?;
        self.checkpoints = self.store.has_checkpoints()?;
        for lane in self.store.lanes()? {
            self.lanes.enter(now, &lane);
        }
        Ok(())
    }

    /// Reads when something ripens next. Unknown is treated as due: the next step looks again.
    fn read_dates(&mut self, now: Now) {
        self.next_floor = self.store.next_floor().unwrap_or(Some(now.wall));
        self.next_ripening = self.store.next_ripening().unwrap_or(Some(now.wall));
        self.next_latest_begin = self.store.next_latest_begin().unwrap_or(Some(now.wall));
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
            && self.next_floor.is_none_or(|at| at > now.wall)
            && self.none_ready().unwrap_or(false)
    }

    /// By one look into each lane that is open, whatever stands in the others.
    fn none_ready(&mut self) -> Result<bool, StoreError> {
        for lane in self.lanes.iter().filter(|lane| !self.closed.contains_key(&lane.bundle)) {
            if !self.store.heads(lane, 1)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The running tasks as they were before a step that was not committed, but for what needs no record: what was heard of them,
/// who watches, and that they were asked to stop, which they are all the same.
fn keep_what_was_heard(
    before: BTreeMap<TaskId, Running>,
    after: &BTreeMap<TaskId, Running>,
    expirations: &[(TaskId, Expiring)],
    now: Now,
) -> BTreeMap<TaskId, Running> {
    let mut kept = before;
    for (task, running) in &mut kept {
        if let Some(Running { progress, advanced, title, watchers, .. }) = after.get(task) {
            (running.progress, running.advanced, running.watchers) = (*progress, *advanced, *watchers);
            running.title.clone_from(title);
        }
        if let Some((_, expiring)) = expirations.iter().find(|(expired, _)| expired == task) {
            running.resume(now);
            running.expiring = Some(*expiring);
        }
    }
    kept
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
