//! What a component's imports mean, in people's words, and whether this host has them. Which interfaces a version of WASI has
//! is a fact of that version; the table has those that the engine links.

/// An interface that a component imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// As the component names it, such as `wasi:cli/stdout@0.2.6`.
    pub interface: String,
    /// What it is for; none when this host does not have it.
    pub need: Option<Need>,
}

/// What an import is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    Scheduler,
    Task,
    Files,
    Http,
    Sockets,
    Environment,
    Clocks,
    Randomness,
    Log,
    Streams,
}

impl Need {
    pub const ALL: &'static [Need] = &[
        Need::Scheduler,
        Need::Task,
        Need::Files,
        Need::Http,
        Need::Sockets,
        Need::Environment,
        Need::Clocks,
        Need::Randomness,
        Need::Log,
        Need::Streams,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Need::Scheduler => "scheduler",
            Need::Task => "task",
            Need::Files => "files",
            Need::Http => "http",
            Need::Sockets => "sockets",
            Need::Environment => "environment",
            Need::Clocks => "clocks",
            Need::Randomness => "randomness",
            Need::Log => "log",
            Need::Streams => "streams",
        }
    }

    /// What a guest gets of it.
    pub fn meaning(self) -> &'static str {
        match self {
            Need::Scheduler => "submits, cancels and lists its own requests",
            Need::Task => "asks after its task: time, progress, checkpoint, expiration",
            Need::Files => "files: its /data and /tmp, and the folders it is granted",
            Need::Http => "HTTP to the origins it is granted",
            Need::Sockets => "sockets: present, and always refused",
            Need::Environment => "the configuration it is granted, as environment",
            Need::Clocks => "clocks, and waiting",
            Need::Randomness => "random numbers",
            Need::Log => "its log, through stdout and stderr",
            Need::Streams => "streams, and waiting for several things",
        }
    }
}

impl Import {
    pub(super) fn new(interface: String) -> Import {
        let need = need(&interface);
        Import { interface, need }
    }
}

/// A package of one version, its interfaces, and what each is for.
struct Package {
    name: &'static str,
    /// Versions that begin so, and go on with a dot and a number, fit.
    version: &'static str,
    interfaces: &'static [(&'static str, Need)],
}

const PACKAGES: &[Package] = &[
    Package {
        name: "idlewild:background-tasks",
        version: "0.1",
        interfaces: &[
            ("types", Need::Scheduler),
            ("scheduler", Need::Scheduler),
            ("task", Need::Task),
            ("expiration", Need::Task),
            ("expiration-poll", Need::Task),
        ],
    },
    Package {
        name: "wasi:cli",
        version: "0.2",
        interfaces: &[
            ("environment", Need::Environment),
            ("exit", Need::Task),
            ("stdin", Need::Log),
            ("stdout", Need::Log),
            ("stderr", Need::Log),
            ("terminal-input", Need::Log),
            ("terminal-output", Need::Log),
            ("terminal-stdin", Need::Log),
            ("terminal-stdout", Need::Log),
            ("terminal-stderr", Need::Log),
        ],
    },
    Package {
        name: "wasi:cli",
        version: "0.3",
        interfaces: &[
            ("types", Need::Log),
            ("environment", Need::Environment),
            ("exit", Need::Task),
            ("stdin", Need::Log),
            ("stdout", Need::Log),
            ("stderr", Need::Log),
            ("terminal-input", Need::Log),
            ("terminal-output", Need::Log),
            ("terminal-stdin", Need::Log),
            ("terminal-stdout", Need::Log),
            ("terminal-stderr", Need::Log),
        ],
    },
    Package {
        name: "wasi:clocks",
        version: "0.2",
        interfaces: &[("monotonic-clock", Need::Clocks), ("wall-clock", Need::Clocks)],
    },
    Package {
        name: "wasi:clocks",
        version: "0.3",
        interfaces: &[("types", Need::Clocks), ("monotonic-clock", Need::Clocks), ("system-clock", Need::Clocks)],
    },
    Package { name: "wasi:filesystem", version: "0.2", interfaces: FILES },
    Package { name: "wasi:filesystem", version: "0.3", interfaces: FILES },
    Package { name: "wasi:random", version: "0.2", interfaces: RANDOM },
    Package { name: "wasi:random", version: "0.3", interfaces: RANDOM },
    Package {
        name: "wasi:io",
        version: "0.2",
        interfaces: &[("error", Need::Streams), ("poll", Need::Streams), ("streams", Need::Streams)],
    },
    Package {
        name: "wasi:sockets",
        version: "0.2",
        interfaces: &[
            ("instance-network", Need::Sockets),
            ("ip-name-lookup", Need::Sockets),
            ("network", Need::Sockets),
            ("tcp", Need::Sockets),
            ("tcp-create-socket", Need::Sockets),
            ("udp", Need::Sockets),
            ("udp-create-socket", Need::Sockets),
        ],
    },
    Package {
        name: "wasi:sockets",
        version: "0.3",
        interfaces: &[("types", Need::Sockets), ("ip-name-lookup", Need::Sockets)],
    },
    Package {
        name: "wasi:http",
        version: "0.2",
        interfaces: &[("types", Need::Http), ("outgoing-handler", Need::Http)],
    },
    Package { name: "wasi:http", version: "0.3", interfaces: &[("types", Need::Http), ("client", Need::Http)] },
];

const FILES: &[(&str, Need)] = &[("types", Need::Files), ("preopens", Need::Files)];
const RANDOM: &[(&str, Need)] =
    &[("random", Need::Randomness), ("insecure", Need::Randomness), ("insecure-seed", Need::Randomness)];

fn need(interface: &str) -> Option<Need> {
    let (path, version) = interface.split_once('@')?;
    let (package, name) = path.split_once('/')?;
    let package = PACKAGES.iter().find(|known| known.name == package && fits(version, known.version))?;
    package.interfaces.iter().find(|(known, _)| *known == name).map(|(_, need)| *need)
}

fn fits(version: &str, known: &str) -> bool {
    let patch = version.strip_prefix(known).and_then(|rest| rest.strip_prefix('.'));
    patch.is_some_and(|patch| patch.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_known_by_package_interface_and_version() {
        let cases = [
            ("idlewild:background-tasks/scheduler@0.1.0", Some(Need::Scheduler)),
            ("idlewild:background-tasks/scheduler@0.2.0", None),
            ("wasi:filesystem/types@0.2.0", Some(Need::Files)),
            ("wasi:filesystem/types@0.2.12", Some(Need::Files)),
            ("wasi:filesystem/types@0.3.0", Some(Need::Files)),
            ("wasi:filesystem/types@0.20.0", None),
            ("wasi:filesystem/types@0.2.0-rc.1", None),
            ("wasi:filesystem/types@0.2", None),
            ("wasi:filesystem/types", None),
            ("wasi:filesystem/typos@0.2.0", None),
            ("wasi:keyvalue/store@0.2.0", None),
            ("a-function", None),
            ("", None),
        ];
        for (interface, expected) in cases {
            assert_eq!(need(interface), expected, "{interface}");
        }
        assert!(Need::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
