//! What a host could not do, in words for whoever asked.

use crate::{
    bundle::{BundleError, KeyError, StateError},
    engine::ComponentError,
    rules::{BundleId, Refusal},
    scheduler::SchedulerError,
    store::StoreError,
};

/// What a host could not do. Each message names the thing and the mend.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A bundle could not be read, checked or installed; nothing changed.
    #[error("{0}")]
    Bundle(String),
    /// The version offered is older than the one installed; nothing changed.
    #[error("{0}")]
    Downgrade(String),
    #[error(transparent)]
    Refused(Refusal),
    /// No such bundle, task, or identifier; the message names it and what is near.
    #[error("{0}")]
    NotFound(String),
    /// A key that is none, or cannot be trusted under that name; nothing changed.
    #[error("{0}")]
    Key(String),
    /// The store, or the state folder around it, could not be read or written.
    #[error("{0}")]
    Store(String),
    /// The host is stopping or has stopped.
    #[error("the host is stopping")]
    Stopping,
}

impl HostError {
    pub(super) fn component(bundle: &BundleId, error: ComponentError) -> HostError {
        let mend = match &error {
            // Its message says what would help.
            ComponentError::NotCompiled(_) => return HostError::Bundle(format!("bundle {bundle}: {error}")),
            ComponentError::Invalid(_) => {
                "build it as a component, for example with: cargo build --target wasm32-wasip2"
            }
            ComponentError::NoWorld => {
                "export `handler`, or `async-handler` to await: the guest kit does so, or see wit/background-tasks.wit"
            }
            ComponentError::BothWorlds => "export `handler` alone, or `async-handler` alone to await",
            ComponentError::MissingExport { .. } => "export it: the guest kit does so, or see wit/background-tasks.wit",
            ComponentError::MistypedExport { .. } => "build it against wit/background-tasks.wit, as the guest kit does",
            ComponentError::UnknownImport(_) => {
                "build it without that import, for the world background-app or async-background-app"
            }
            ComponentError::Register(_) => "let it return the bundle's permitted-identifiers and nothing else",
        };
        HostError::Bundle(format!("bundle {bundle}: {error}; {mend}"))
    }
}

impl From<BundleError> for HostError {
    fn from(error: BundleError) -> HostError {
        HostError::Bundle(error.to_string())
    }
}

impl From<KeyError> for HostError {
    fn from(error: KeyError) -> HostError {
        let message = error.to_string();
        match error {
            KeyError::Unknown { .. } => HostError::NotFound(message),
            KeyError::NotPublic
            | KeyError::NotSecret
            | KeyError::NeedsPassword
            | KeyError::WrongPassword
            | KeyError::Broken
            | KeyError::BadName { .. }
            | KeyError::Taken { .. }
            | KeyError::NameTaken { .. }
            | KeyError::Make(_) => HostError::Key(message),
            KeyError::Damaged { .. } | KeyError::Io(_) => HostError::Store(message),
        }
    }
}

impl From<StateError> for HostError {
    fn from(error: StateError) -> HostError {
        HostError::Store(error.to_string())
    }
}

impl From<StoreError> for HostError {
    fn from(error: StoreError) -> HostError {
        HostError::Store(error.to_string())
    }
}

impl From<SchedulerError> for HostError {
    fn from(error: SchedulerError) -> HostError {
        match error {
            SchedulerError::Refused(refusal) => HostError::Refused(refusal),
            SchedulerError::Unknown(message) => HostError::NotFound(message),
            SchedulerError::Store(error) => error.into(),
            SchedulerError::Stopping => HostError::Stopping,
        }
    }
}
