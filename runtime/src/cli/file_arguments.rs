//! What can be typed about bundle files and keys.

use std::path::PathBuf;

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::{api::wire::FromText, daemon::SignaturePolicy};

#[derive(Debug, Args)]
pub(super) struct Build {
    /// The bundle's folder, or its idlewild.toml
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub(super) folder: PathBuf,
    /// The file to write [default: ID-VERSION.wasm in the working folder]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Only pack: take the component as it was built before
    #[arg(long)]
    pub(super) no_compile: bool,
}

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A bundle's folder or file, any other file, or the id of an installed bundle
    #[arg(value_name = "PATH|BUNDLE")]
    pub(super) what: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The bundle's file or folder
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    /// The secret key, as `idlewild keys new` or minisign writes it
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,
    /// Read the key's password from this file instead of asking for it
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The bundle's file or folder
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    /// The public key it must be signed with, as a file or in one word [default: any that is trusted]
    #[arg(long, value_name = "FILE|KEY")]
    pub(super) key: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    pub(super) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a pair of keys: NAME.key to sign with, NAME.pub for those who are to trust it
    #[command(after_help = "Example:\n  idlewild keys new ada")]
    New(NewKey),
    /// Trust whoever has this key to sign bundles
    #[command(after_help = "Example:\n  idlewild keys trust ada.pub --name 'Ada Lovelace'")]
    Trust(TrustKey),
    /// List whom this host trusts, and what it asks of signatures
    #[command(after_help = "Example:\n  idlewild keys list --json")]
    List,
    /// Trust a key no more; what it signed stays installed
    #[command(after_help = "Example:\n  idlewild keys remove ada")]
    Remove(RemoveKey),
    /// Show or set what is asked of signatures when a bundle is installed
    #[command(after_help = "\
With require, only bundles signed with a trusted key are installed. With warn, a signature that does not fit is refused, and a \
bundle without one is said to be. With off, signatures are not looked at.

Example:
  idlewild keys policy require")]
    Policy(Policy),
}

#[derive(Debug, Args)]
pub(super) struct NewKey {
    /// What the two files are called, without .key and .pub
    #[arg(value_name = "NAME")]
    pub(super) name: PathBuf,
    /// Read the password from this file instead of asking for it
    #[arg(long, value_name = "FILE", conflicts_with = "unencrypted")]
    pub(super) password_file: Option<PathBuf>,
    /// Make a key that anybody who can read its file can sign with
    #[arg(long)]
    pub(super) unencrypted: bool,
}

#[derive(Debug, Args)]
pub(super) struct TrustKey {
    /// The public key, as a file or in one word
    #[arg(value_name = "FILE|KEY")]
    pub(super) key: String,
    /// What to call it [default: what its file is called]
    #[arg(long)]
    pub(super) name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RemoveKey {
    /// The key's name or number
    #[arg(value_name = "KEY")]
    pub(super) key: String,
}

#[derive(Debug, Args)]
pub(super) struct Policy {
    /// What to ask from now on
    #[arg(value_parser = PossibleValuesParser::new(["require", "warn", "off"]).try_map(|word| SignaturePolicy::from_text(&word)))]
    pub(super) policy: Option<SignaturePolicy>,
}
