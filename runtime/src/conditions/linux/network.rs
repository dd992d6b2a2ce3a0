//! Whether a route to other machines exists.

use std::path::Path;

use super::{names, read, sight};
use crate::conditions::Sight;

const ROUTES: &str = "proc/net/route";
const IPV6_ROUTES: &str = "proc/net/ipv6_route";
const INTERFACES: &str = "sys/class/net";

/// Flags of a route, from `linux/route.h`: it is usable; it refuses what it matches.
const UP: u32 = 0x0001;
const REJECT: u32 = 0x0200;

/// Holds with a default route over an interface that is up.
///
/// It does not know whether anything answers there: a captive portal, a dead router or a firewall look like a network.
/// It does not see default routes outside the main table (policy routing), nor those that a tunnel splits into halves,
/// nor whether the way is metered.
pub(super) fn look(root: &Path) -> Sight {
    let tables = [
        (ROUTES, read(root, ROUTES), default_interfaces as fn(&str) -> Vec<String>),
        (IPV6_ROUTES, read(root, IPV6_ROUTES), default_interfaces_ipv6),
    ];
    if tables.iter().all(|(_, table, _)| table.is_none()) {
        return look_at_interfaces(root);
    }
    let mut down = None;
    for (path, table, default_interfaces) in tables {
        for interface in default_interfaces(&table.unwrap_or_default()) {
            if is_up(root, &interface) {
                return sight(true, format!("/{path} has a default route over {interface}"));
            }
            down.get_or_insert(interface);
        }
    }
    match down {
        Some(interface) => sight(false, format!("/{INTERFACES}/{interface} is down, the default route leads there")),
        None => sight(false, format!("no default route in /{ROUTES} or /{IPV6_ROUTES}")),
    }
}

/// Without routing tables, an interface that is up and not the loopback must do.
fn look_at_interfaces(root: &Path) -> Sight {
    let Some(interfaces) = names(root, INTERFACES) else {
        return sight(true, format!("assumed: neither /{ROUTES} nor /{INTERFACES} can be read"));
    };
    match interfaces.iter().find(|name| *name != "lo" && is_up(root, name)) {
        Some(interface) => sight(true, format!("/{INTERFACES}/{interface} is up, /{ROUTES} cannot be read")),
        None => sight(false, format!("no interface in /{INTERFACES} is up")),
    }
}

/// Tunnels and other virtual interfaces call their state `unknown`; one that does not tell is believed, too.
fn is_up(root: &Path, interface: &str) -> bool {
    let state = read(root, &format!("{INTERFACES}/{interface}/operstate"));
    matches!(state.as_deref(), Some("up" | "unknown") | None)
}

/// Columns: interface, destination, gateway, flags, three counters, mask; numbers in hexadecimal.
fn default_interfaces(table: &str) -> Vec<String> {
    let interface = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_default = is_zero(columns.get(1)?) && is_zero(columns.get(7)?);
        (is_default && is_usable(columns.get(3)?)).then(|| columns[0].to_owned())
    };
    table.lines().skip(1).filter_map(interface).collect()
}

/// Columns: destination, prefix length, source, prefix length, next hop, three counters, flags, interface. The kernel
/// lists a rejecting default route on the loopback.
fn default_interfaces_ipv6(table: &str) -> Vec<String> {
    let interface = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_default = is_zero(columns.first()?) && is_zero(columns.get(1)?);
        let interface = *columns.get(9)?;
        (is_default && is_usable(columns.get(8)?) && interface != "lo").then(|| interface.to_owned())
    };
    table.lines().filter_map(interface).collect()
}

fn is_zero(number: &str) -> bool {
    number.chars().all(|digit| digit == '0')
}

fn is_usable(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & UP != 0 && flags & REJECT == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::linux::recorded;

    const HEAD: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT";
    const LOCAL: &str = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
    const DEFAULT: &str = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0";
    const REJECTED: &str = "eth0\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0";
    const HALF: &str = "tun0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0";
    const ZERO: &str = "00000000000000000000000000000000";

    #[test]
    fn finds_a_default_route_over_an_interface_that_is_up() {
        let v4 = |lines: &[&str]| {
            (ROUTES, std::iter::once(HEAD).chain(lines.iter().copied()).collect::<Vec<_>>().join("\n"))
        };
        let v6 = |flags: &str, interface: &str| {
            let hop = "fd000000000000000000000000000001";
            (IPV6_ROUTES, format!("{ZERO} 00 {ZERO} 00 {hop} 00000400 00000002 00000000 {flags} {interface}"))
        };
        let state = |text: &str| ("sys/class/net/eth0/operstate", text.to_owned());
        let loopback = ("sys/class/net/lo/operstate", "unknown".to_owned());
        let cases = [
            ("a default route", vec![v4(&[LOCAL, DEFAULT]), state("up")], true, "default route over eth0"),
            (
                "an interface that does not tell",
                vec![v4(&[DEFAULT]), state("unknown")],
                true,
                "default route over eth0",
            ),
            ("no interfaces listed", vec![v4(&[DEFAULT])], true, "default route over eth0"),
            ("a pulled cable", vec![v4(&[DEFAULT]), state("down")], false, "eth0 is down"),
            ("only neighbours", vec![v4(&[LOCAL]), state("up")], false, "no default route"),
            ("a rejecting route", vec![v4(&[REJECTED]), state("up")], false, "no default route"),
            ("half a default route", vec![v4(&[HALF]), state("up")], false, "no default route"),
            ("an empty table", vec![v4(&[])], false, "no default route"),
            ("IPv6 alone", vec![v4(&[]), v6("00000003", "eth0"), state("up")], true, "default route over eth0"),
            ("IPv6 rejected on the loopback", vec![v6("00200200", "lo")], false, "no default route"),
            ("nonsense", vec![(ROUTES, "eth0\n\u{0}\nx y z".to_owned())], false, "no default route"),
            ("no tables, one interface", vec![state("up"), loopback.clone()], true, "eth0 is up"),
            ("no tables, loopback alone", vec![loopback], false, "no interface"),
        ];
        for (case, files, holds, source) in cases {
            let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
            let root = recorded(&files);
            let seen = look(root.path());
            assert_eq!(seen.holds, holds, "{case}: {seen:?}");
            assert!(seen.source.contains(source), "{case}: {seen:?}");
        }
    }
}
