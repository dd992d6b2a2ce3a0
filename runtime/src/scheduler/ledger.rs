//! What one step changes: requests read or made in it, and the statements that will make the changes true.
//! A request made in this step is written once, as it stands at the step's end.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    rules::{BundleId, Identifier, Policy, RequestId, Stage, Timestamp},
    store::{self, Statement, Store, StoreError, StoredRequest},
};

#[derive(Default)]
pub(super) struct Ledger {
    /// Unfinished requests of the identifiers this step has touched, as they stand now.
    identifiers: BTreeMap<(BundleId, Identifier), Vec<StoredRequest>>,
    /// Requests made in this step, and the identifiers they still wait for.
    fresh: BTreeMap<RequestId, Vec<Identifier>>,
    /// Stages that the database does not show yet.
    restaged: BTreeMap<RequestId, Stage>,
    /// Requests that the database still shows, and that this step ends.
    ended: BTreeSet<RequestId>,
    /// Bundles whose requests in the database are all cancelled.
    swept: BTreeSet<BundleId>,
    statements: Vec<Statement>,
}

impl Ledger {
    /// The unfinished requests of an identifier, oldest first.
    pub(super) fn unfinished(
        &mut self,
        store: &mut Store,
        bundle: &BundleId,
        identifier: &Identifier,
    ) -> Result<&mut Vec<StoredRequest>, StoreError> {
        let key = (bundle.clone(), identifier.clone());
        if !self.identifiers.contains_key(&key) {
            let requests = store.unfinished(bundle, identifier)?;
            let requests = requests.into_iter().filter_map(|stored| self.as_it_stands(stored)).collect();
            self.identifiers.insert(key.clone(), requests);
        }
        Ok(self.identifiers.entry(key).or_default())
    }

    pub(super) fn write(&mut self, statement: Statement) {
        self.statements.push(statement);
    }

    pub(super) fn write_all(&mut self, statements: impl IntoIterator<Item = Statement>) {
        self.statements.extend(statements);
    }

    /// Takes up a new request; its `unfinished` entry must be loaded.
    pub(super) fn add(&mut self, stored: StoredRequest, unmet: Vec<Identifier>) {
        let key = (stored.record.bundle.clone(), stored.record.request.identifier.clone());
        self.fresh.insert(stored.record.id, unmet);
        self.identifiers.entry(key).or_default().push(stored);
    }

    /// The identifiers a request still waits for.
    pub(super) fn unmet(&mut self, store: &mut Store, request: RequestId) -> Result<Vec<Identifier>, StoreError> {
        match self.fresh.get(&request) {
            Some(unmet) => Ok(unmet.clone()),
            None => store.unmet(request),
        }
    }

    /// Moves a request to another stage. It may have been read from the database or made in this step.
    pub(super) fn restage(&mut self, stored: &StoredRequest, to: Stage) {
        let id = stored.record.id;
        if !self.fresh.contains_key(&id) {
            self.statements.push(store::move_request(id, stored.stage, to));
            self.restaged.insert(id, to);
        }
        if let Some(entry) = self.entry_of(stored) {
            entry.stage = to;
        }
    }

    /// A launched request is pending again, for its next attempt.
    pub(super) fn bring_back(&mut self, request: RequestId, attempt: u32) {
        self.statements.push(store::bring_back(request, attempt));
        self.restaged.insert(request, Stage::Ready);
        for stored in self.identifiers.values_mut().flatten().filter(|stored| stored.record.id == request) {
            stored.stage = Stage::Ready;
            stored.record.attempt = attempt + 1;
            stored.record.floor = None;
        }
    }

    /// A launched request is pending again once its rest is over, for its next attempt.
    pub(super) fn let_rest(&mut self, request: RequestId, attempt: u32, floor: Timestamp, wake_at: Timestamp) {
        self.statements.push(store::let_rest(request, attempt, floor, wake_at));
        self.restaged.insert(request, Stage::Ripening);
        for stored in self.identifiers.values_mut().flatten().filter(|stored| stored.record.id == request) {
            stored.stage = Stage::Ripening;
            stored.record.attempt = attempt + 1;
            stored.record.failures += 1;
            stored.record.floor = Some(floor);
        }
    }

    /// A pending request's latest begin is reached.
    pub(super) fn make_urgent(&mut self, stored: &StoredRequest) {
        if !self.fresh.contains_key(&stored.record.id) {
            self.statements.push(store::make_urgent(stored.record.id));
            // The database shows it in the lane it leaves.
            self.restaged.insert(stored.record.id, stored.stage);
        }
        if let Some(entry) = self.entry_of(stored) {
            entry.record.urgent = true;
        }
    }

    /// A request waits for no other identifier any more.
    pub(super) fn await_nothing(&mut self, request: RequestId) {
        match self.fresh.get_mut(&request) {
            Some(unmet) => unmet.clear(),
            None => self.statements.push(store::await_nothing(request)),
        }
    }

    /// Ends a request, from whatever stage `stored` says.
    pub(super) fn end(&mut self, stored: &StoredRequest) {
        let id = stored.record.id;
        if self.fresh.remove(&id).is_none() {
            self.statements.extend(store::end_request(id, stored.stage));
            self.ended.insert(id);
        }
        let key = (stored.record.bundle.clone(), stored.record.request.identifier.clone());
        if let Some(requests) = self.identifiers.get_mut(&key) {
            requests.retain(|other| other.record.id != id);
        }
    }

    /// Ends a launched request, of which no more than its number need be known.
    pub(super) fn end_launched(&mut self, bundle: &BundleId, identifier: &Identifier, request: RequestId) {
        self.statements.push(store::end_launched(request));
        self.ended.insert(request);
        if let Some(requests) = self.identifiers.get_mut(&(bundle.clone(), identifier.clone())) {
            requests.retain(|other| other.record.id != request);
        }
    }

    /// Ends every pending request of a bundle; those of this step are returned.
    pub(super) fn sweep(&mut self, bundle: &BundleId) -> Vec<StoredRequest> {
        self.statements.extend(store::end_pending(bundle));
        self.swept.insert(bundle.clone());
        let mut ended = Vec::new();
        for ((owner, _), requests) in &mut self.identifiers {
            if owner == bundle {
                let (launched, pending) =
                    std::mem::take(requests).into_iter().partition(|stored| stored.stage == Stage::Launched);
                *requests = launched;
                ended.extend(pending);
            }
        }
        ended.retain(|stored| self.fresh.remove(&stored.record.id).is_some());
        ended
    }

    /// An identifier succeeded: requests of this step that waited for it wait no longer. Returns those it concerns.
    pub(super) fn succeed(&mut self, bundle: &BundleId, identifier: &Identifier) -> Vec<StoredRequest> {
        let mut concerned = Vec::new();
        for (id, unmet) in self.fresh.iter_mut().filter(|(_, unmet)| unmet.contains(identifier)) {
            let stored = self.identifiers.values().flatten().find(|stored| stored.record.id == *id);
            if let Some(stored) = stored.filter(|stored| stored.record.bundle == *bundle) {
                unmet.retain(|waited_for| waited_for != identifier);
                concerned.push(stored.clone());
            }
        }
        concerned
    }

    /// A request read from the database, as it stands now; none if this step ended it.
    pub(super) fn as_it_stands(&self, stored: StoredRequest) -> Option<StoredRequest> {
        let id = stored.record.id;
        let swept = stored.stage != Stage::Launched && self.swept.contains(&stored.record.bundle);
        if swept || self.ended.contains(&id) {
            return None;
        }
        let stage = self.restaged.get(&id).copied().unwrap_or(stored.stage);
        Some(StoredRequest { stage, ..stored })
    }

    /// Whether what the database shows of a request still holds.
    pub(super) fn is_current(&self, stored: &StoredRequest) -> bool {
        !self.restaged.contains_key(&stored.record.id) && self.as_it_stands(stored.clone()).is_some()
    }

    /// The requests of this step that stand ready.
    pub(super) fn fresh_ready(&self) -> Vec<StoredRequest> {
        self.fresh_requests().filter(|stored| stored.stage == Stage::Ready).cloned().collect()
    }

    /// Every statement of the step, with the requests made in it.
    pub(super) fn into_statements(mut self, policy: &Policy) -> Vec<Statement> {
        // Inserts come last: what sweeps a bundle or ends a wait is about what stood before this step.
        let mut statements = std::mem::take(&mut self.statements);
        for stored in self.fresh_requests() {
            statements.push(store::insert_request(stored, policy.wake_for(&stored.record)));
            for identifier in self.fresh.get(&stored.record.id).into_iter().flatten() {
                statements.push(store::insert_run_after(&stored.record.bundle, identifier, stored.record.id));
            }
        }
        statements
    }

    /// The requests of this step.
    pub(super) fn fresh_requests(&self) -> impl Iterator<Item = &StoredRequest> {
        let fresh = !self.fresh.is_empty();
        self.identifiers
            .values()
            .filter(move |_| fresh)
            .flatten()
            .filter(|stored| self.fresh.contains_key(&stored.record.id))
    }

    fn entry_of(&mut self, stored: &StoredRequest) -> Option<&mut StoredRequest> {
        let key = (stored.record.bundle.clone(), stored.record.request.identifier.clone());
        self.identifiers.get_mut(&key)?.iter_mut().find(|other| other.record.id == stored.record.id)
    }
}
