//! Whether the machine lives off a battery.

use std::path::Path;

use super::{names, read, sight};
use crate::conditions::Sight;

pub(super) const SUPPLIES: &str = "sys/class/power_supply";

/// One entry of `/sys/class/power_supply` that feeds the machine itself.
struct Supply {
    name: String,
    sort: Sort,
}

enum Sort {
    /// A battery, or a UPS the kernel watches.
    Store { discharging: bool, charging: bool },
    /// The mains, or a charger on a USB port.
    Charger { online: bool },
}

/// No battery means external power. A charger that is online settles it, then a battery's status, then a charger that is
/// offline: some batteries say `Full` or `Unknown` for a while after the plug was pulled.
pub(super) fn look(root: &Path) -> Sight {
    let supplies = supplies(root);
    let first = |wanted: fn(&Sort) -> bool| supplies.iter().find(|supply| wanted(&supply.sort));
    let say = |holds, supply: &Supply, state| sight(holds, format!("/{SUPPLIES}/{} is {state}", supply.name));
    if let Some(charger) = first(|sort| matches!(sort, Sort::Charger { online: true })) {
        return say(true, charger, "online");
    }
    if let Some(battery) = first(|sort| matches!(sort, Sort::Store { discharging: true, .. })) {
        return say(false, battery, "discharging");
    }
    let Some(battery) = first(|sort| matches!(sort, Sort::Store { .. })) else {
        return sight(true, format!("no battery in /{SUPPLIES}"));
    };
    if let Some(battery) = first(|sort| matches!(sort, Sort::Store { charging: true, .. })) {
        return say(true, battery, "charging");
    }
    match first(|sort| matches!(sort, Sort::Charger { online: false })) {
        Some(charger) => say(false, charger, "offline"),
        None => say(true, battery, "not discharging"),
    }
}

/// Whether the machine at `root` (`/`, or a recorded tree) has a battery of its own. A UPS does not count, nor does the
/// battery of a mouse.
pub fn has_battery(root: &Path) -> bool {
    let is_battery = |name: &String| attribute(root, name, "type").as_deref() == Some("Battery");
    names(root, SUPPLIES).unwrap_or_default().iter().any(|name| is_battery(name) && feeds_the_machine(root, name))
}

/// The names of the batteries and UPSes that feed the machine.
pub(super) fn stores(root: &Path) -> Vec<String> {
    let is_store = |supply: &Supply| matches!(supply.sort, Sort::Store { .. });
    supplies(root).into_iter().filter(is_store).map(|supply| supply.name).collect()
}

fn supplies(root: &Path) -> Vec<Supply> {
    let supply = |name: String| {
        let sort = match attribute(root, &name, "type")?.as_str() {
            "Battery" | "UPS" => {
                let status = attribute(root, &name, "status").unwrap_or_default();
                Sort::Store { discharging: status == "Discharging", charging: status == "Charging" }
            }
            // Mains, USB and its many sorts, Wireless. `online` is 2 for a charger whose voltage can be set.
            _ => Sort::Charger { online: attribute(root, &name, "online")? != "0" },
        };
        feeds_the_machine(root, &name).then_some(Supply { name, sort })
    };
    names(root, SUPPLIES).unwrap_or_default().into_iter().filter_map(supply).collect()
}

/// Supplies of scope `Device` are those of a mouse or a headset; most others do not say.
fn feeds_the_machine(root: &Path, name: &str) -> bool {
    attribute(root, name, "scope").as_deref() != Some("Device")
}

pub(super) fn attribute(root: &Path, name: &str, attribute: &str) -> Option<String> {
    read(root, &format!("{SUPPLIES}/{name}/{attribute}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::linux::recorded;

    #[test]
    fn tells_external_power_from_a_battery() {
        type Files<'a> = &'a [(&'a str, &'a str)];
        let cases: [(&str, Files, bool, bool, &str); 11] = [
            ("nothing listed", &[], true, false, "no battery"),
            ("a desktop's mains", &[("AC/type", "Mains"), ("AC/online", "1")], true, false, "AC is online"),
            ("mains alone, offline", &[("AC/type", "Mains"), ("AC/online", "0")], true, false, "no battery"),
            (
                "a laptop plugged in",
                &[("AC/type", "Mains"), ("AC/online", "1"), ("BAT0/type", "Battery"), ("BAT0/status", "Discharging")],
                true,
                true,
                "AC is online",
            ),
            (
                "a laptop unplugged",
                &[("AC/type", "Mains"), ("AC/online", "0"), ("BAT0/type", "Battery"), ("BAT0/status", "Discharging")],
                false,
                true,
                "BAT0 is discharging",
            ),
            (
                "just unplugged, still full",
                &[("AC/type", "Mains"), ("AC/online", "0"), ("BAT0/type", "Battery"), ("BAT0/status", "Full")],
                false,
                true,
                "AC is offline",
            ),
            (
                "charging through a port that is not listed",
                &[("AC/type", "Mains"), ("AC/online", "0"), ("BAT0/type", "Battery"), ("BAT0/status", "Charging")],
                true,
                true,
                "BAT0 is charging",
            ),
            (
                "a programmable USB charger",
                &[("ucsi/type", "USB"), ("ucsi/online", "2"), ("BAT0/type", "Battery"), ("BAT0/status", "Unknown")],
                true,
                true,
                "ucsi is online",
            ),
            ("a battery that says nothing", &[("BAT0/type", "Battery")], true, true, "BAT0 is not discharging"),
            (
                "a mouse's battery",
                &[("mouse/type", "Battery"), ("mouse/scope", "Device"), ("mouse/status", "Discharging")],
                true,
                false,
                "no battery",
            ),
            (
                "a UPS without mains",
                &[("ups/type", "UPS"), ("ups/status", "Discharging")],
                false,
                false,
                "ups is discharging",
            ),
        ];
        for (case, files, holds, battery, source) in cases {
            let paths: Vec<_> = files.iter().map(|(path, text)| (format!("{SUPPLIES}/{path}"), *text)).collect();
            let files: Vec<_> = paths.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            let root = recorded(&files);
            let seen = look(root.path());
            assert_eq!(seen.holds, holds, "{case}: {seen:?}");
            assert!(seen.source.contains(source), "{case}: {seen:?}");
            assert_eq!(has_battery(root.path()), battery, "{case}");
        }
    }
}
