//! The components that stay linked in memory, so that a launch finds its code ready. The least recently used goes first.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

/// At most `limit` values by digest, weighing at most `bytes` together, each made once however many ask at the same time.
/// Who uses a value that was dropped here keeps it.
pub(super) struct Linked<T> {
    limit: usize,
    bytes: u64,
    weigh: fn(&T) -> u64,
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
    pub(super) fn new(limit: usize, bytes: u64, weigh: fn(&T) -> u64) -> Linked<T> {
        Linked { limit, bytes, weigh, state: Mutex::new(State { entries: HashMap::new(), uses: 0 }) }
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
        let value = cell.get_or_try_init(|| make).await.cloned();
        self.shrink(digest);
        value
    }

    /// Drops what was used least recently until the rest weighs little enough; `spared` stays, whatever it weighs.
    fn shrink(&self, spared: &str) {
        let mut state = self.state();
        loop {
            let made =
                state.entries.iter().filter_map(|(digest, entry)| Some((digest, entry.used, entry.value.get()?)));
            let made: Vec<_> = made.collect();
            let weight: u64 = made.iter().map(|(_, _, value)| (self.weigh)(value)).sum();
            let others = made.iter().filter(|(digest, ..)| *digest != spared);
            let oldest = others.min_by_key(|(_, used, _)| *used).map(|(digest, ..)| (*digest).clone());
            match oldest {
                Some(oldest) if weight > self.bytes => state.entries.remove(&oldest),
                Some(_) | None => return,
            };
        }
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
        let linked = Linked::new(2, u64::MAX, |_| 1);
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
    async fn the_heavy_make_room_and_whoever_uses_them_keeps_them() {
        let linked = Linked::new(9, 10, |weight: &u64| *weight);
        let mut used = Vec::new();
        for (digest, weight) in [("a", 4), ("b", 4), ("a", 4), ("c", 5), ("d", 20)] {
            used.push(linked.get::<()>(digest, async { Ok(Arc::new(weight)) }).await.expect("made"));
            let held = linked.state().entries.keys().cloned().collect::<std::collections::BTreeSet<_>>();
            let expected: &[&str] = match digest {
                "a" if used.len() == 1 => &["a"],
                "a" | "b" => &["a", "b"],
                "c" => &["a", "c"],
                _ => &["d"],
            };
            assert_eq!(held.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        }
        assert_eq!(used.iter().map(|weight| **weight).sum::<u64>(), 37);
    }

    #[tokio::test]
    async fn what_failed_is_made_again() {
        let linked = Linked::new(2, u64::MAX, |_| 1);
        assert_eq!(linked.get("a", async { Err("no") }).await, Err("no"));
        assert_eq!(linked.get::<&str>("a", async { Ok(Arc::new(7)) }).await, Ok(Arc::new(7)));
    }
}
