//! SQLite behind the database port: write-ahead log with full sync, one connection that writes.

use std::{fs, path::Path};

use rusqlite::{Connection, ErrorCode, ToSql, config::DbConfig, params_from_iter, types::ToSqlOutput, types::ValueRef};

use super::database::*;

const SCHEMA: &str = include_str!("schema.sql");
const SCHEMA_VERSION: i64 = 3;
/// The way from each version to the next, beginning with the first.
const MIGRATIONS: [&str; SCHEMA_VERSION as usize - 1] = [include_str!("from_1.sql"), include_str!("from_2.sql")];
/// The length of the header of SQLite's file format, in bytes.
const HEADER: u64 = 100;
/// The largest database that is looked through at every start, in bytes; damage in a larger one shows when it is read.
const CHECKED: u64 = 64 << 20;

pub struct Sqlite {
    connection: Connection,
    path: String,
}

impl Sqlite {
    /// Opens or makes the database at `path`. Errors: damaged, written by a newer version, or not to be opened.
    pub fn open(path: &Path) -> Result<Sqlite, StoreError> {
        let shown = path.display().to_string();
        // SQLite takes a file shorter than its header for a new database, and would forget what it held.
        let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
        if (1..HEADER).contains(&length) {
            return Err(StoreError::Corrupt { path: shown, detail: format!("it is cut off after {length} bytes") });
        }
        let connection = Connection::open(path).map_err(|error| explain(&shown, &error))?;
        Sqlite::prepare(connection, shown, length)
    }

    /// A database that lives as long as this value.
    pub fn in_memory() -> Result<Sqlite, StoreError> {
        let shown = ":memory:".to_owned();
        let connection = Connection::open_in_memory().map_err(|error| explain(&shown, &error))?;
        Sqlite::prepare(connection, shown, 0)
    }

    fn prepare(connection: Connection, path: String, length: u64) -> Result<Sqlite, StoreError> {
        connection.set_prepared_statement_cache_capacity(64);
        let set_up = || -> rusqlite::Result<i64> {
            // A plan that may depend on the values bound is made anew whenever they change, at the price of several statements.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            connection.execute_batch(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA temp_store = MEMORY;
                 PRAGMA busy_timeout = 5000;",
            )?;
            let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if version == 0 {
                connection.execute_batch(&format!(
                    "BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                ))?;
                return Ok(SCHEMA_VERSION);
            }
            if length > CHECKED {
                return Ok(version);
            }
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).and_then(|verdict| {
                match verdict.as_str() {
                    "ok" => Ok(version),
                    _ => Err(rusqlite::Error::SqliteFailure(
                        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
                        Some(verdict),
                    )),
                }
            })
        };
        let found = set_up().map_err(|error| explain(&path, &error))?;
        if found > SCHEMA_VERSION {
            return Err(StoreError::TooNew { path, found, known: SCHEMA_VERSION });
        }
        migrate(&connection, found).map_err(|error| explain(&path, &error))?;
        Ok(Sqlite { connection, path })
    }

    fn run(&mut self, statements: &[Statement]) -> Result<(), StoreError> {
        let path = &self.path;
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(|error| explain(path, &error))?;
        for statement in statements {
            let changed = transaction
                .prepare_cached(statement.sql)
                .and_then(|mut prepared| prepared.execute(params_from_iter(&statement.values)))
                .map_err(|error| explain(path, &error))?;
            if statement.guard.is_some_and(|guard| guard != changed as u64) {
                return Err(StoreError::Lost(statement.sql));
            }
        }
        transaction.commit().map_err(|error| explain(path, &error))
    }
}

/// Takes a database of an earlier version on to this one, a version at a time: wholly or not at all each.
fn migrate(connection: &Connection, found: i64) -> rusqlite::Result<()> {
    for (version, migration) in (1..).zip(MIGRATIONS).skip_while(|(version, _)| *version < found) {
        let next = version + 1;
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {migration} PRAGMA user_version = {next}; COMMIT;"))?;
    }
    Ok(())
}

impl Database for Sqlite {
    fn query(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Vec<Value>>> {
            let mut prepared = self.connection.prepare_cached(sql)?;
            let columns = prepared.column_count();
            let mut rows = prepared.query(params_from_iter(values))?;
            let mut read = Vec::new();
            while let Some(row) = rows.next()? {
                let row: rusqlite::Result<Vec<Value>> =
                    (0..columns).map(|column| Ok(from_sqlite(row.get_ref(column)?))).collect();
                read.push(row?);
            }
            Ok(read)
        };
        read().map_err(|error| explain(&self.path, &error))
    }

    fn commit(&mut self, statements: &[Statement]) -> Result<(), StoreError> {
        if statements.is_empty() { Ok(()) } else { self.run(statements) }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn from_sqlite(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Text(number.to_string()),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

fn explain(path: &str, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { path: path.to_owned(), detail: error.to_string() }
        }
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => {
            StoreError::Unavailable(format!("{path}: {error}; see whether its disk is full"))
        }
        Some(_) | None => StoreError::Unavailable(format!("{path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    /// The schemas of versions 1 and 2, as they were.
    const FIRST: &str = include_str!("version_1.sql");
    const SECOND: &str = include_str!("version_2.sql");

    fn shape(connection: &Connection) -> Vec<String> {
        let mut columns = connection
            .prepare(
                "SELECT m.type, m.name, coalesce(c.name, ''), coalesce(c.type, ''), coalesce(c.\"notnull\", ''), coalesce(c.dflt_value, '')
                 FROM sqlite_schema AS m LEFT JOIN pragma_table_info(m.name) AS c
                 WHERE m.name NOT LIKE 'sqlite_%'
                 ORDER BY m.name, c.cid",
            )
            .unwrap();
        let rows = columns.query_map([], |row| {
            let column = |index| row.get::<_, rusqlite::types::Value>(index).map(|value| format!("{value:?}"));
            Ok((0..6).map(column).collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_statement_is_planned_once_however_its_values_change() {
        const BY_IDENTIFIER: &str = "SELECT stage FROM request WHERE bundle = ?1 AND identifier = ?2 ORDER BY id";
        const BY_LANE: &str =
            "SELECT id FROM request WHERE stage = 'ready' AND bundle = ?1 AND urgent = ?2 ORDER BY id";
        let mut sqlite = Sqlite::in_memory().unwrap();
        for number in 0..3 {
            sqlite.query(BY_IDENTIFIER, &["com.example.a".into(), format!("r{number}").as_str().into()]).unwrap();
            sqlite.query(BY_LANE, &["com.example.a".into(), number.into()]).unwrap();
        }
        for sql in [BY_IDENTIFIER, BY_LANE] {
            let planned_again = sqlite.connection.prepare_cached(sql).unwrap().get_status(StatementStatus::RePrepare);
            assert_eq!(planned_again, 0, "{sql}");
        }
    }

    #[test]
    fn a_database_of_the_first_version_becomes_one_of_this_and_keeps_what_it_holds() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("idlewild.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(&format!(
            "{FIRST} PRAGMA user_version = 1;
             INSERT INTO bundle VALUES ('com.example.a', 'd', 'm', 'g', 7);
             INSERT INTO checkpoint VALUES ('com.example.a', 'com.example.a.b', x'01');"
        ))
        .unwrap();
        drop(old);
        let mut store = crate::store::Store::open(Box::new(Sqlite::open(&path).unwrap())).unwrap();
        let rows = store.bundles().unwrap();
        let crate::store::BundleRow { id, current, enabled, previous } = &rows[0];
        assert_eq!((rows.len(), id.as_str(), *enabled, previous), (1, "com.example.a", true, &None));
        assert_eq!((current.digest.as_str(), &current.signer), ("d", &None));
        assert!(store.has_checkpoints().unwrap());
        drop(store);
        let migrated = Sqlite::open(&path).unwrap();
        assert_eq!(shape(&migrated.connection), shape(&Sqlite::in_memory().unwrap().connection));
    }

    #[test]
    fn a_database_of_the_second_version_becomes_one_of_this_and_keeps_what_it_holds() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("idlewild.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(&format!(
            "{SECOND} PRAGMA user_version = 2; INSERT INTO kept_data VALUES ('com.example.a');"
        ))
        .unwrap();
        drop(old);
        let mut store = crate::store::Store::open(Box::new(Sqlite::open(&path).unwrap())).unwrap();
        let bundle = crate::rules::BundleId::parse("com.example.a").unwrap();
        assert_eq!(store.kept_data().unwrap(), [crate::store::KeptData { bundle, signer: None }]);
        drop(store);
        let migrated = Sqlite::open(&path).unwrap();
        assert_eq!(shape(&migrated.connection), shape(&Sqlite::in_memory().unwrap().connection));
    }

    #[test]
    fn a_database_of_a_later_version_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("idlewild.db");
        drop(Sqlite::open(&path).unwrap());
        Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99;").unwrap();
        let error = Sqlite::open(&path).err().expect("refused");
        assert!(matches!(error, StoreError::TooNew { found: 99, known: SCHEMA_VERSION, .. }), "{error}");
    }
}
