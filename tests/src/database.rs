//! A database that outlives the scheduler using it, and can be told to fail its commits.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use idlewild::store::{Database, Sqlite, Statement, Store, StoreError, Value};

#[derive(Clone)]
pub struct SharedDatabase {
    sqlite: Arc<Mutex<Sqlite>>,
    full: Arc<AtomicBool>,
}

impl SharedDatabase {
    /// In memory.
    pub fn new() -> SharedDatabase {
        SharedDatabase::of(Sqlite::in_memory().unwrap())
    }

    pub fn of(sqlite: Sqlite) -> SharedDatabase {
        SharedDatabase { sqlite: Arc::new(Mutex::new(sqlite)), full: Arc::default() }
    }

    /// While full, every commit fails and changes nothing.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    pub fn store(&self) -> Store {
        Store::open(Box::new(self.clone())).unwrap()
    }
}

impl Default for SharedDatabase {
    fn default() -> SharedDatabase {
        SharedDatabase::new()
    }
}

impl Database for SharedDatabase {
    fn query(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        self.sqlite.lock().unwrap().query(sql, values)
    }

    fn commit(&mut self, statements: &[Statement]) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) && !statements.is_empty() {
            return Err(StoreError::Unavailable("the disk is full (as the test says)".to_owned()));
        }
        self.sqlite.lock().unwrap().commit(statements)
    }
}
