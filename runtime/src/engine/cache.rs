//! Compiled components on disk: compiled once, then loaded in a fraction of a millisecond.
//! The folder may be deleted at any time; a file that is damaged or of another wasmtime is compiled anew.

#![allow(unsafe_code, reason = "loading compiled code trusts its bytes; `deserialize` says why they can be trusted")]

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use cap_std::fs::{Dir, MetadataExt, OpenOptions, OpenOptionsExt, Permissions, PermissionsExt};
use sha2::{Digest, Sha256};
use wasmtime::{Engine, component::Component};

use super::{ComponentError, fault::cause};

const MAGIC: &[u8; 8] = b"idlecode";
const SEAL: usize = 32;

/// How a binary of the component model begins, and how one of core WebAssembly does.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Compiles, and remembers what it compiled. Its calls block.
pub(super) struct CodeCache {
    engine: Engine,
    components: Dir,
    folder: Dir,
    /// What else the compiled code depends on: wasmtime's version, its settings, this processor.
    setting: String,
    temporary: AtomicU64,
}

impl CodeCache {
    /// `folder` becomes the owner's alone. Errors: it belongs to somebody else.
    pub(super) fn open(engine: Engine, components: Dir, folder: Dir) -> io::Result<CodeCache> {
        if folder.dir_metadata()?.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder belongs to another user"));
        }
        folder.set_permissions(".", Permissions::from_mode(0o700))?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let setting = format!("{:016x}", hasher.finish());
        Ok(CodeCache { engine, components, folder, setting, temporary: AtomicU64::new(0) })
    }

    /// The component of an installed bundle. Errors: why there is none, for people.
    pub(super) fn load(&self, digest: &str) -> Result<Component, String> {
        if let Some(component) = self.read(digest) {
            return Ok(component);
        }
        let file = format!("{digest}.wasm");
        let bytes =
            self.components.read(&file).map_err(|error| format!("the component {file} cannot be read: {error}"))?;
        self.compile(digest, &bytes).map_err(|error| error.to_string())
    }

    /// Compiles a component, or finds it compiled.
    pub(super) fn examine(&self, digest: &str, bytes: &[u8]) -> Result<Component, ComponentError> {
        check_preamble(bytes)?;
        match self.read(digest) {
            Some(component) => Ok(component),
            None => self.compile(digest, bytes),
        }
    }

    fn compile(&self, digest: &str, bytes: &[u8]) -> Result<Component, ComponentError> {
        check_preamble(bytes)?;
        let invalid = |error: wasmtime::Error| ComponentError::Invalid(cause(&error));
        let code = self.engine.precompile_component(bytes).map_err(invalid)?;
        if let Err(error) = self.write(digest, &code) {
            tracing::warn!(digest, %error, "compiled code cannot be kept; it is compiled again next time");
        }
        deserialize(&self.engine, &code).map_err(invalid)
    }

    fn file(&self, digest: &str) -> String {
        format!("{digest}-{}", self.setting)
    }

    /// None if there is no such file, or it is not what was written.
    fn read(&self, digest: &str) -> Option<Component> {
        let name = self.file(digest);
        let file = self.folder.read(&name).ok()?;
        let loaded = unseal(&name, &file).and_then(|code| deserialize(&self.engine, code).ok());
        if loaded.is_none() {
            tracing::warn!(file = name, "compiled code is damaged; it is compiled anew");
        }
        loaded
    }

    /// Whole or not at all: written beside its place, then renamed.
    fn write(&self, digest: &str, code: &[u8]) -> io::Result<()> {
        let name = self.file(digest);
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".{}-{number}", std::process::id());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = self.folder.open_with(&temporary, &options)?;
        let written = file
            .write_all(MAGIC)
            .and_then(|()| file.write_all(&seal(&name, code)))
            .and_then(|()| file.write_all(code))
            .and_then(|()| self.folder.rename(&temporary, &self.folder, &name));
        if written.is_err() {
            self.folder.remove_file(&temporary).ok();
        }
        written
    }
}

/// Over the name too, so that code copied under another digest is not taken for it.
fn seal(name: &str, code: &[u8]) -> [u8; SEAL] {
    let mut hash = Sha256::new();
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name.as_bytes());
    hash.update(code);
    hash.finalize().into()
}

fn unseal<'a>(name: &str, file: &'a [u8]) -> Option<&'a [u8]> {
    let (kept, code) = file.strip_prefix(MAGIC)?.split_at_checked(SEAL)?;
    (kept == seal(name, code)).then_some(code)
}

/// Loads what this engine compiled.
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are what `precompile_component` returned: either in this call, or read from a file whose seal was
    // just checked, in a folder only this user can write to. Who can forge it there could replace this program as well.
    unsafe { Component::deserialize(engine, code) }
}

fn check_preamble(bytes: &[u8]) -> Result<(), ComponentError> {
    let fault = if bytes.starts_with(COMPONENT) {
        return Ok(());
    } else if bytes.starts_with(MODULE) {
        "it is a core module; build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`"
    } else if bytes.is_empty() {
        "the file is empty"
    } else if bytes.starts_with(b"\0asm") {
        "it is of a version of the component model this host does not know"
    } else {
        "it does not begin as WebAssembly does"
    };
    Err(ComponentError::Invalid(fault.to_owned()))
}
