//! The guest kit, as it was when this program was built: a project made here speaks the contract this host speaks.

use std::{fs, io, path::Path};

use include_dir::{Dir, DirEntry, include_dir};

static GUEST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../guest-sdk/rust");
static CONTRACT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../wit");
static WORKSPACE: &str = include_str!("../../../../Cargo.toml");

/// Where in a project the kit's crate lies.
pub(super) const CRATE: &str = "kit/guest-sdk/rust";

/// Lays the kit into a project's folder. The places of its parts to each other are those they have at home.
pub(super) fn write(project: &Path) -> io::Result<()> {
    let kit = project.join("kit");
    lay(&GUEST, &kit.join("guest-sdk/rust"))?;
    lay(&CONTRACT, &kit.join("wit"))?;
    fs::write(kit.join("Cargo.toml"), workspace())
}

/// Tests stay at home.
fn lay(dir: &Dir<'_>, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in dir.entries() {
        let name = entry.path().file_name().unwrap_or_default();
        match entry {
            DirEntry::Dir(_) if name == "tests" => {}
            DirEntry::Dir(dir) => lay(dir, &folder.join(name))?,
            DirEntry::File(file) => fs::write(folder.join(name), file.contents())?,
        }
    }
    Ok(())
}

/// The versions of our own workspace, with the kit's crates as its only members.
fn workspace() -> String {
    let members = "members = [\"guest-sdk/rust\", \"guest-sdk/rust/macros\"]";
    let line = |line: &str| match line.starts_with("members = ") {
        true => members.to_owned(),
        false => line.to_owned(),
    };
    WORKSPACE.lines().map(|text| line(text) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kit_is_laid_out_as_at_home() {
        let project = tempfile::tempdir().unwrap();
        write(project.path()).unwrap();
        for path in ["kit/Cargo.toml", "kit/wit/background-tasks.wit", "kit/guest-sdk/rust/src/lib.rs"] {
            assert!(project.path().join(path).is_file(), "{path}");
        }
        let workspace = fs::read_to_string(project.path().join("kit/Cargo.toml")).unwrap();
        assert_eq!(workspace.matches("members").count(), 1);
        assert!(!workspace.contains("[\"runtime\""), "only the kit is a member");
    }
}
