//! The components that stay linked in memory, so that a launch finds its code ready. The least recently used goes first.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

/// At most `limit` values by digest, each made once however many ask at the same time.
pub(super) struct Linked<T> {
    limit: usize,
    state: Mutex<State<T>>,
}

struct State<T> {
    entries: HashMap<String, Entry<T>>,
    /// Counts the uses; the smallest in an entry is the one used least recently.
    uses: u64,
}

struct Entry<T> {
    value: Arc<OnceCell<Arc<T>>>,
    used: u64,
}

impl<T> Linked<T> {
    pub(super) fn new(limit: usize) -> Linked<T> {
        Linked { limit, state: Mutex::new(State { entries: HashMap::new(), uses: 0 }) }
    }

    /// What stands under `digest`, made by `make` if nothing does. What failed is made again next time.
    pub(super) async fn get<E>(
        &self,
        digest: &str,
        make: impl Future<Output = Result<Arc<T>, E>>,
    ) -> Result<Arc<T>, E> {
        let cell = self.cell(digest);
        if let Some(value) = cell.get() {
            return Ok(value.clone());
        }
        cell.get_or_try_init(|| make).await.cloned()
    }

    fn cell(&self, digest: &str) -> Arc<OnceCell<Arc<T>>> {
        let mut state = self.state();
        state.uses += 1;
        let used = state.uses;
        if let Some(entry) = state.entries.get_mut(digest) {
            entry.used = used;
            return entry.value.clone();
        }
        if state.entries.len() >= self.limit {
            let oldest = state.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(digest, _)| digest.clone());
            oldest.and_then(|digest| state.entries.remove(&digest));
        }
        let value = Arc::new(OnceCell::new());
        state.entries.insert(digest.to_owned(), Entry { value: value.clone(), used });
        value
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_least_recently_used_is_dropped_and_made_again() {
        let linked = Linked::new(2);
        let mut made = Vec::new();
        for digest in ["a", "b", "a", "c", "a", "b"] {
            linked
                .get::<()>(digest, async {
                    made.push(digest);
                    Ok(Arc::new(digest))
                })
                .await
                .expect("made");
        }
        assert_eq!(made, ["a", "b", "c", "b"]);
    }

    #[tokio::test]
    async fn what_failed_is_made_again() {
        let linked = Linked::new(2);
        assert_eq!(linked.get("a", async { Err("no") }).await, Err("no"));
        assert_eq!(linked.get::<&str>("a", async { Ok(Arc::new(7)) }).await, Ok(Arc::new(7)));
    }
}
