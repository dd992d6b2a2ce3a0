//! The command line: the whole program in one `match`. Every command asks the one router, wherever its host is.

mod arguments;
mod attach;
mod bundles;
mod cargo;
mod compiling;
mod conditions;
mod display;
mod file_arguments;
mod files;
mod follow;
mod grants;
mod history;
mod human;
mod inspect;
mod keys;
mod new;
mod output;
mod requests;
mod schedule;
mod serve;
mod tasks;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser;

use self::{
    arguments::{Arguments, Command, Given},
    file_arguments::{Keys, KeysCommand},
    output::Output,
};
use crate::daemon;

/// Something went wrong; clap itself uses 2 for what it cannot parse.
const FAILED: u8 = 1;
/// What was waited for has ended, and not all of it with success.
const NOT_ALL_SUCCEEDED: u8 = 3;
/// SIGINT came before what was waited for.
const INTERRUPTED: u8 = 130;

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let Arguments { given, command } = Arguments::parse();
    match run(given, command) {
        Ok(code) => code,
        // Whoever read our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // With stderr gone too there is nobody left to tell.
            let _ = writeln!(io::stderr(), "error: {}", output::legible(&whole(&error)));
            ExitCode::from(FAILED)
        }
    }
}

fn run(given: Given, command: Command) -> anyhow::Result<ExitCode> {
    // A process of its own kind: it asks no host and needs no runtime.
    if let Command::CompileComponent(command) = command {
        return Ok(daemon::compile_component(&command.bounds));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    runtime.block_on(async {
        match command {
            Command::Serve(command) => serve::serve(&given, command).await,
            Command::Inspect(command) if inspect::meant(&command.what).is_none() => {
                inspect::offered(&given, &mut Output::new(&given, false), &command.what).await?;
                Ok(ExitCode::SUCCESS)
            }
            command => match alone(&given, command)? {
                Some(command) => ask(&given, command).await,
                None => Ok(ExitCode::SUCCESS),
            },
        }
    })
}

/// Runs a command that needs no host; gives back one that does.
fn alone(given: &Given, command: Command) -> anyhow::Result<Option<Command>> {
    let out = &mut Output::new(given, false);
    match command {
        Command::Build(command) => files::build(out, command)?,
        Command::Sign(command) => files::sign(out, command)?,
        Command::Verify(command) => files::verify(given, out, command)?,
        Command::New(command) => new::new(given, command)?,
        Command::Keys(Keys { command: KeysCommand::New(command) }) => keys::new(out, command)?,
        command => return Ok(Some(command)),
    }
    Ok(None)
}

/// Reaches a host, asks it, and leaves it as it was found.
async fn ask(given: &Given, command: Command) -> anyhow::Result<ExitCode> {
    let reached = daemon::reach(&given.state_folder()?).await?;
    let client = &reached.client;
    let mut out = Output::new(given, reached.is_running());
    let out = &mut out;
    let mut code = ExitCode::SUCCESS;
    let answered = match command {
        Command::Serve(_) => unreachable!("serve is its own host"),
        Command::CompileComponent(_) | Command::New(_) | Command::Build(_) | Command::Sign(_) | Command::Verify(_) => {
            unreachable!("they need no host")
        }
        Command::Inspect(command) => match inspect::meant(&command.what) {
            Some(bundle) => inspect::installed(client, out, &bundle).await,
            None => unreachable!("a file needs no host"),
        },
        Command::Keys(command) => keys::keys(client, out, command.command).await,
        Command::Install(command) => bundles::install(client, out, command).await,
        Command::Upgrade(command) => bundles::upgrade(client, out, command).await,
        Command::Rollback(command) => bundles::rollback(client, out, command).await,
        Command::Uninstall(command) => bundles::uninstall(client, out, command).await,
        Command::Enable(command) => bundles::enable(client, out, command).await,
        Command::Disable(command) => bundles::disable(client, out, command).await,
        Command::Grants(command) => grants::grants(client, out, command).await,
        Command::Bundles => bundles::bundles(client, out).await,
        Command::Submit(command) => requests::submit(client, out, command).await.map(|ended| code = ended),
        Command::Attach(command) => attach::attach(client, out, command).await.map(|ended| code = ended),
        Command::Pending(command) => requests::pending(client, out, command).await,
        Command::Cancel(command) => requests::cancel(client, out, command).await,
        Command::Launch(command) => requests::launch(client, out, command).await,
        Command::Expire(command) => requests::expire(client, out, command).await,
        Command::Why(command) => requests::why(client, out, command).await,
        Command::Schedule(command) => schedule::schedule(client, out, command).await,
        Command::Tasks(command) => tasks::tasks(client, out, command).await,
        Command::History(command) => history::history(client, out, command).await,
        Command::Task(command) => tasks::task(client, out, command).await,
        Command::Logs(command) => tasks::logs(client, out, command).await,
        Command::Conditions(command) => conditions::conditions(client, out, command).await,
    };
    reached.leave().await;
    answered.map(|()| code)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The error and its causes in one sentence. A cause that the message before it quotes already is not said twice.
fn whole(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        said if said.ends_with(&cause) => said.to_owned(),
        said => format!("{said}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_was_quoted_is_not_said_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("no host answers: {source}")]
        struct Unreachable {
            source: io::Error,
        }
        let error = anyhow::Error::new(Unreachable { source: io::Error::other("refused") }).context("cannot ask");
        assert_eq!(whole(&error), "cannot ask: no host answers: refused");
    }

    #[test]
    fn a_broken_pipe_is_no_failure_however_deep_it_lies() {
        let broken = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("while printing");
        assert!(is_broken_pipe(&broken));
        assert!(!is_broken_pipe(&anyhow::anyhow!("broken pipe")));
    }
}
