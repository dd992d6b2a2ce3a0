//! The narrow database port: reads, and a list of guarded statements committed as one. No interactive transactions, so
//! that another database is another adapter and not another store.

/// A value going into or coming out of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// One statement of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub sql: &'static str,
    pub values: Vec<Value>,
    /// How many rows it must change; another count means that somebody else was faster, and nothing is committed.
    pub guard: Option<u64>,
}

/// Why a database did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file is damaged or is no database; people must decide what to do.
    #[error(
        "the database {path} is damaged or not a database ({detail}): restore it from a backup, or move it away to start anew"
    )]
    Corrupt { path: String, detail: String },
    /// Written by a newer version of the program.
    #[error(
        "the database {path} was written by a newer version (schema {found}, this one knows {known}): use that version"
    )]
    TooNew { path: String, found: i64, known: i64 },
    /// The disk is full, the file is read-only, or the like; the same call may work later.
    #[error("the database could not be used: {0}")]
    Unavailable(String),
    /// A guarded statement changed another number of rows than it must.
    #[error("a record was changed by somebody else: {0}")]
    Lost(&'static str),
    /// The step cannot keep what it began to promise, so that nothing of it is committed.
    #[error("nothing was changed: {0}")]
    Withdrawn(String),
}

pub trait Database: Send {
    fn query(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError>;

    /// Commits all of `statements`, durably, or none.
    fn commit(&mut self, statements: &[Statement]) -> Result<(), StoreError>;
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}
