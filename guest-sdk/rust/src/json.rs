//! Inputs and outputs as values of the author's own types, written as JSON.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Input, Output, Request, Task};

/// A value that is written as JSON where bytes are: as a handler's parameter its input, as what a handler returns its output.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// #[derive(Deserialize)]
/// struct Export {
///     folder: String,
/// }
///
/// #[derive(Serialize)]
/// struct Exported {
///     files: u64,
/// }
///
/// #[idlewild_guest::bundle]
/// mod tasks {
///     use idlewild_guest::Json;
///
///     use super::{Export, Exported};
///
///     #[handler("com.example.gallery.export")]
///     async fn export(Json(Export { folder }): Json<Export>) -> Result<Json<Exported>, std::io::Error> {
///         let files = std::fs::read_dir(folder)?.count() as u64;
///         Ok(Json(Exported { files }))
///     }
/// }
/// # fn main() {}
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> Input for Json<T> {
    fn from_task(task: &Task) -> Result<Json<T>, String> {
        let value = serde_json::from_slice(task.input());
        // The error tells line and column.
        value.map(Json).map_err(|error| format!("the input of {} is not what it takes: {error}", task.identifier()))
    }
}

impl<T: Serialize> Output for Json<T> {
    fn into_output(self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(&self.0).map_err(|error| format!("the output cannot be written as JSON: {error}"))
    }
}

impl<K> Request<K> {
    /// A value handed to the handler as JSON; the handler takes it as [`Json`].
    ///
    /// Errors: the value cannot be written as JSON, a map whose keys are not text, say.
    pub fn input_json(self, value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(self.input(serde_json::to_vec(value)?))
    }
}
