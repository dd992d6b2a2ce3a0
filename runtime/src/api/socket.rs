//! The Unix socket a host is reached at: for its owner only.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use axum::Router;
use tokio::net::UnixListener;

use super::Closing;

/// Listens at `path`, which is readable and writable for the owner alone from the first moment it is there.
/// What stood there is replaced: the caller holds the lock of the state folder, so whoever left it is dead.
/// Must be called within a tokio runtime.
pub fn listen_unix(path: &Path) -> io::Result<UnixListener> {
    // Beside it, and no longer than `host.sock`: the kernel bounds a socket's path.
    let unready = &path.with_file_name("new.sock");
    match fs::remove_file(unready) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(unready)?;
    fs::set_permissions(unready, Permissions::from_mode(0o600))?;
    fs::rename(unready, path)?;
    Ok(listener)
}

/// Answers until `closing` begins, then finishes what was asked and ends.
pub async fn serve_unix(router: Router, listener: UnixListener, closing: Closing) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(closing.begun()).await
}
