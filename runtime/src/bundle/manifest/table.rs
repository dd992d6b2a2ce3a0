//! Reads TOML tables so that every fault has a place and a mend.

use std::fmt;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::reference::{KeyReference, SECTIONS, SectionReference};
use crate::spelling;

/// What is wrong with a manifest: one sentence that names the thing, its place and the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ManifestError {
    pub message: String,
    /// None when what is wrong is that something is missing altogether, or that there is too much.
    pub place: Option<Place>,
}

/// A character of the manifest, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl Place {
    /// The place of a byte of `text`.
    pub(super) fn of(text: &str, offset: usize) -> Place {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// A table whose keys are all known.
pub(super) struct Section<'t> {
    text: &'t str,
    /// As people see it: `[bundle]`.
    name: String,
    table: &'t DeTable<'t>,
    offset: Option<usize>,
}

/// A value and where it stands.
pub(super) struct Field<'t> {
    text: &'t str,
    name: String,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Section<'t> {
    /// The whole manifest.
    pub(super) fn root(text: &'t str, table: &'t DeTable<'t>) -> Result<Section<'t>, ManifestError> {
        let known: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
        Section { text, name: "the manifest".to_owned(), table, offset: None }.with_known(&known)
    }

    /// A section of the root; none when it is left out.
    pub(super) fn section(&self, section: &SectionReference) -> Result<Option<Section<'t>>, ManifestError> {
        let Some(value) = self.table.get(section.name) else { return Ok(None) };
        Field { text: self.text, name: format!("[{}]", section.name), value }.section(section).map(Some)
    }

    /// The entries of a section that may stand in the root several times, each under its name in double brackets.
    pub(super) fn entries(&self, section: &SectionReference) -> Result<Vec<Section<'t>>, ManifestError> {
        let Some(value) = self.table.get(section.name) else { return Ok(Vec::new()) };
        let name = format!("[[{}]]", section.name);
        let Some(entries) = value.get_ref().as_array() else {
            let mend = format!("must be tables that begin with {name}");
            return Err(Field { text: self.text, name: format!("`{}`", section.name), value }.fault(mend));
        };
        entries.iter().map(|value| Field { text: self.text, name: name.clone(), value }.section(section)).collect()
    }

    /// A section that must be there.
    pub(super) fn required_section(&self, section: &SectionReference) -> Result<Section<'t>, ManifestError> {
        self.section(section)?.ok_or_else(|| missing(section))
    }

    pub(super) fn field(&self, key: &KeyReference) -> Option<Field<'t>> {
        let value = self.table.get(key.name)?;
        Some(Field { text: self.text, name: format!("`{}` in {}", key.name, self.name), value })
    }

    /// A field that must be there.
    pub(super) fn required(&self, key: &KeyReference) -> Result<Field<'t>, ManifestError> {
        let KeyReference { name: key_name, example, .. } = key;
        self.field(key).ok_or_else(|| {
            let place = self.offset.map(|offset| Place::of(self.text, offset));
            let at = place.map(|place| format!(" at {place}")).unwrap_or_default();
            let message = format!("{}{at} lacks `{key_name}`; add a line such as `{key_name} = {example}`", self.name);
            ManifestError { message, place }
        })
    }

    fn with_known(self, known: &[&str]) -> Result<Section<'t>, ManifestError> {
        let unknown = self.table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref()));
        // The first in the text, whatever order the table has.
        let Some((key, _)) = unknown.min_by_key(|(key, _)| key.span().start) else { return Ok(self) };
        let place = Place::of(self.text, key.span().start);
        let mend = did_you_mean(key.get_ref(), known);
        let message = format!("unknown key `{}` in {} at {place}; {mend}", key.get_ref(), self.name);
        Err(ManifestError { message, place: Some(place) })
    }
}

impl<'t> Field<'t> {
    /// That this value is wrong: `fault` is said of its name and place.
    pub(super) fn fault(&self, fault: impl fmt::Display) -> ManifestError {
        let place = Place::of(self.text, self.value.span().start);
        ManifestError { message: format!("{} at {place} {fault}", self.name), place: Some(place) }
    }

    /// That this value is a word other than those `known`.
    pub(super) fn unknown_word(&self, word: &str, known: impl Iterator<Item = &'static str>) -> ManifestError {
        let known: Vec<&str> = known.collect();
        self.fault(format_args!("is unknown: `{word}`; {}", did_you_mean(word, &known)))
    }

    pub(super) fn string(&self) -> Result<&'t str, ManifestError> {
        self.value.get_ref().as_str().ok_or_else(|| self.wrong_type("text in quotes"))
    }

    pub(super) fn boolean(&self) -> Result<bool, ManifestError> {
        self.value.get_ref().as_bool().ok_or_else(|| self.wrong_type("true or false"))
    }

    /// The entries of a list, each under this field's name.
    pub(super) fn list(&self) -> Result<Vec<Field<'t>>, ManifestError> {
        let entries = self.value.get_ref().as_array().ok_or_else(|| self.wrong_type("a list in brackets"))?;
        let entry = |value| Field { text: self.text, name: format!("an entry of {}", self.name), value };
        Ok(entries.iter().map(entry).collect())
    }

    pub(super) fn section(&self, section: &SectionReference) -> Result<Section<'t>, ManifestError> {
        let known: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
        let table = self.value.get_ref().as_table().ok_or_else(|| self.wrong_type("a table"))?;
        let offset = Some(self.value.span().start);
        Section { text: self.text, name: self.name.clone(), table, offset }.with_known(&known)
    }

    fn wrong_type(&self, wanted: &str) -> ManifestError {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.fault(format_args!("must be {wanted}, and is {found}"))
    }
}

fn missing(section: &SectionReference) -> ManifestError {
    let required = |key: &&KeyReference| key.default.is_none();
    let keys: Vec<&str> = section.keys.iter().filter(required).map(|key| key.name).collect();
    let keys = match keys.as_slice() {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        keys => keys.join(""),
    };
    ManifestError { message: format!("section [{}] is missing; add it, with {keys}", section.name), place: None }
}

fn did_you_mean(word: &str, known: &[&str]) -> String {
    match spelling::nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}
