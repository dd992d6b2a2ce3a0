//! Hears from the kernel that the machine has changed, so that nobody needs to look often. It says that a look is worth
//! while, never what would be seen.

use std::{
    io,
    os::fd::OwnedFd,
    thread::{self, JoinHandle},
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    io::{Errno, write},
    net::{
        AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, bind,
        netlink::{KOBJECT_UEVENT, SocketAddrNetlink},
        recv, socket_with,
    },
};

/// Groups of the kernel's messages about the network, from `linux/rtnetlink.h`: interfaces, routes of IPv4 and of IPv6.
const NETWORK_GROUPS: u32 = 0x1 | 0x40 | 0x400;
/// What the kernel itself says of devices; group 2 is what others make of that.
const DEVICE_GROUP: u32 = 0x1;
/// Kinds of messages about the network: an interface is there, is gone; a route is there, is gone.
const NETWORK_KINDS: [u16; 4] = [16, 17, 24, 25];
/// The longest message that is understood; the kernel's about devices have at most 2 KiB of text.
const LONGEST: usize = 16 << 10;

/// Listens until it is dropped. It wakes for nothing but the kernel's messages.
#[derive(Debug)]
pub struct Watcher {
    /// Readable when the thread shall end.
    bell: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

/// A socket on which the kernel speaks, and what of it counts.
struct Source {
    socket: OwnedFd,
    counts: fn(&[u8]) -> bool,
}

/// What was to be read of a source.
struct Heard {
    /// Something that counts, or so much at once that some was lost.
    changed: bool,
    /// The source can be read again.
    lives: bool,
}

impl Watcher {
    /// Calls `changed`, from a thread of its own, after a route, an interface or a power supply has changed; once for many
    /// changes that come together. Errors: the kernel gives no socket for it, as in some containers.
    pub fn start(changed: impl Fn() + Send + 'static) -> io::Result<Watcher> {
        let network = Source { socket: open(None, NETWORK_GROUPS)?, counts: tells_of_the_network };
        let devices = Source { socket: open(Some(KOBJECT_UEVENT), DEVICE_GROUP)?, counts: tells_of_a_supply };
        Watcher::listen(vec![network, devices], changed)
    }

    fn listen(mut sources: Vec<Source>, changed: impl Fn() + Send + 'static) -> io::Result<Watcher> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let end = bell.try_clone()?;
        let thread = thread::Builder::new().name("watcher".to_owned()).spawn(move || {
            while wait(&end, &sources) {
                let heard: Vec<Heard> = sources.iter().map(hear).collect();
                if heard.iter().any(|heard| heard.changed) {
                    changed();
                }
                // One that fails would be readable for ever.
                let mut lives = heard.iter().map(|heard| heard.lives);
                sources.retain(|_| lives.next().unwrap_or(false));
            }
        })?;
        Ok(Watcher { bell, thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        write(&self.bell, &1u64.to_ne_bytes()).expect("an eventfd takes one more");
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell of how it ended.
            let _ = thread.join();
        }
    }
}

fn open(protocol: Option<Protocol>, groups: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// Waits for a source to be readable; false when the watcher shall end.
fn wait(end: &OwnedFd, sources: &[Source]) -> bool {
    let mut watched: Vec<PollFd<'_>> = vec![PollFd::new(end, PollFlags::IN)];
    watched.extend(sources.iter().map(|source| PollFd::new(&source.socket, PollFlags::IN)));
    while let Err(error) = poll(&mut watched, None) {
        assert_eq!(error, Errno::INTR, "poll fails only when a signal interrupts it");
    }
    watched[0].revents().is_empty()
}

/// Reads all that is there.
fn hear(source: &Source) -> Heard {
    let mut message = vec![0; LONGEST];
    let mut changed = false;
    loop {
        match recv(&source.socket, message.as_mut_slice(), RecvFlags::empty()) {
            Ok((0, _)) => return Heard { changed, lives: false },
            Ok((count, _)) => changed |= (source.counts)(&message[..count]),
            Err(Errno::AGAIN) => return Heard { changed, lives: true },
            Err(Errno::INTR) => {}
            // More came than the socket holds: some of it is lost.
            Err(Errno::NOBUFS) => changed = true,
            Err(_) => return Heard { changed: true, lives: false },
        }
    }
}

/// Reads one or more messages, each with a head: length (32 bits, with the head), kind (16), and ten bytes more.
fn tells_of_the_network(mut messages: &[u8]) -> bool {
    while let Some((head, _)) = messages.split_first_chunk::<16>() {
        let kind = u16::from_ne_bytes([head[4], head[5]]);
        if NETWORK_KINDS.contains(&kind) {
            return true;
        }
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        match messages.get(length.next_multiple_of(4)..) {
            Some(rest) if length >= head.len() => messages = rest,
            Some(_) | None => return false,
        }
    }
    false
}

/// Reads a head such as `change@/devices/…`, then `NAME=value`, each ended by a zero.
fn tells_of_a_supply(message: &[u8]) -> bool {
    message.split(|byte| *byte == 0).any(|line| line == b"SUBSYSTEM=power_supply")
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixDatagram, sync::mpsc, time::Duration};

    use rustix::net::{SendFlags, send};

    use super::*;

    const PLUGGED: &[u8] = b"change@/devices/LNXSYSTM:00/ACPI0003:00/power_supply/AC\0ACTION=change\0\
        DEVPATH=/devices/LNXSYSTM:00/ACPI0003:00/power_supply/AC\0SUBSYSTEM=power_supply\0POWER_SUPPLY_ONLINE=1\0SEQNUM=42\0";
    const DISK: &[u8] = b"add@/devices/virtual/block/loop0\0ACTION=add\0SUBSYSTEM=block\0SEQNUM=43\0";
    /// Longer than anything here takes on a busy machine.
    const LONG: Duration = Duration::from_secs(30);

    /// One message of the network as the kernel writes it, its body all zeros.
    fn network(kind: u16, body: usize) -> Vec<u8> {
        let length = 16 + body;
        let mut message = (length as u32).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.resize(length.next_multiple_of(4), 0);
        message
    }

    #[test]
    fn tells_what_counts_from_what_does_not() {
        let cases = [
            ("a new route", network(24, 12), true),
            ("a route gone", network(25, 12), true),
            ("an interface", network(16, 13), true),
            ("an address", network(20, 8), false),
            ("a route behind an address", [network(20, 5), network(24, 12)].concat(), true),
            ("nothing", vec![], false),
            ("half a head", network(24, 0)[..10].to_vec(), false),
            ("a length of nothing", [&[0; 4], &network(20, 0)[4..]].concat(), false),
            ("a length beyond the end", [&[255; 4], &network(20, 0)[4..]].concat(), false),
        ];
        for (case, message, counts) in cases {
            assert_eq!(tells_of_the_network(&message), counts, "{case}");
        }
        assert!(tells_of_a_supply(PLUGGED));
        assert!(!tells_of_a_supply(DISK));
        assert!(!tells_of_a_supply(b""));
    }

    /// The kernel answers whoever asks it for the interfaces, as it tells of them when they change.
    #[test]
    fn understands_this_machines_kernel() {
        let source = Source { socket: open(None, NETWORK_GROUPS).unwrap(), counts: tells_of_the_network };
        let asked_for_all = 0x1u16 | 0x300;
        let mut question = network(18, 16);
        question[6..8].copy_from_slice(&asked_for_all.to_ne_bytes());
        send(&source.socket, &question, SendFlags::empty()).unwrap();
        let mut watched = [PollFd::new(&source.socket, PollFlags::IN)];
        poll(&mut watched, Some(&LONG.try_into().unwrap())).unwrap();
        let Heard { changed, lives } = hear(&source);
        assert!(changed && lives, "the loopback is told of at least");
    }

    #[test]
    fn calls_for_what_counts_and_ends_when_dropped() {
        let (kernel, ours) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (called, calls) = mpsc::channel();
        let supplies = Source { socket: ours.into(), counts: tells_of_a_supply };
        let watcher = Watcher::listen(vec![supplies], move || called.send(()).unwrap()).unwrap();
        for _ in 0..2 {
            kernel.send(DISK).unwrap();
            kernel.send(PLUGGED).unwrap();
            calls.recv_timeout(LONG).expect("it calls for a power supply");
        }
        kernel.send(DISK).unwrap();
        drop(watcher);
        assert_eq!(
            calls.try_recv(),
            Err(mpsc::TryRecvError::Disconnected),
            "nothing more came, and its thread has ended"
        );
    }

    #[test]
    fn listens_to_this_machine() {
        let watcher = Watcher::start(|| {}).expect("an ordinary user may listen");
        drop(watcher);
    }
}
