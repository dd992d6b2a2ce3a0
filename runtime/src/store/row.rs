//! From columns to words and back. A column that holds no word of ours means a damaged database.

use std::vec;

use super::database::*;
use crate::rules::Timestamp;

/// Takes a row's columns in order.
pub(super) struct Row(vec::IntoIter<Value>);

impl Row {
    pub(super) fn new(columns: Vec<Value>) -> Row {
        Row(columns.into_iter())
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            other => Err(damaged("text", &other)),
        }
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            other => Err(damaged("text", &other)),
        }
    }

    /// Passes by columns that mean nothing here.
    pub(super) fn skip(&mut self, columns: usize) -> Result<(), StoreError> {
        match columns {
            0 => Ok(()),
            _ => self.0.nth(columns - 1).map(drop).ok_or_else(|| damaged("a column", &None)),
        }
    }

    pub(super) fn integer(&mut self) -> Result<i64, StoreError> {
        match self.0.next() {
            Some(Value::Integer(number)) => Ok(number),
            other => Err(damaged("a number", &other)),
        }
    }

    pub(super) fn optional_integer(&mut self) -> Result<Option<i64>, StoreError> {
        match self.0.next() {
            Some(Value::Integer(number)) => Ok(Some(number)),
            Some(Value::Null) => Ok(None),
            other => Err(damaged("a number", &other)),
        }
    }

    pub(super) fn count(&mut self) -> Result<u64, StoreError> {
        let number = self.integer()?;
        u64::try_from(number).map_err(|_| damaged("a count", &Some(Value::Integer(number))))
    }

    pub(super) fn optional_count(&mut self) -> Result<Option<u64>, StoreError> {
        Ok(self.optional_integer()?.map(|number| u64::try_from(number).unwrap_or(0)))
    }

    pub(super) fn flag(&mut self) -> Result<bool, StoreError> {
        Ok(self.integer()? != 0)
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.0.next() {
            Some(Value::Blob(bytes)) => Ok(bytes),
            other => Err(damaged("bytes", &other)),
        }
    }

    pub(super) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.0.next() {
            Some(Value::Blob(bytes)) => Ok(Some(bytes)),
            Some(Value::Null) => Ok(None),
            other => Err(damaged("bytes", &other)),
        }
    }

    pub(super) fn moment(&mut self) -> Result<Timestamp, StoreError> {
        moment(self.integer()?)
    }

    pub(super) fn optional_moment(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.optional_integer()?.map(moment).transpose()
    }

    /// A text parsed into one of the rules' words or names.
    pub(super) fn word<T>(&mut self, parse: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
        let text = self.text()?;
        parse(&text).ok_or_else(|| damaged("a known word", &Some(Value::Text(text))))
    }
}

fn moment(milliseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| damaged("a moment", &Some(Value::Integer(milliseconds))))
}

pub(super) fn damaged(wanted: &str, found: &Option<Value>) -> StoreError {
    StoreError::Unavailable(format!("a row holds {found:?} where {wanted} must stand"))
}

/// Milliseconds since 1970, rounded down.
pub(super) fn milliseconds(moment: Timestamp) -> Value {
    Value::Integer(moment.as_millisecond())
}

/// Numbers past the database's range are kept as its largest.
pub(super) fn count(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
