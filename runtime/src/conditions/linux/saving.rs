//! Whether a person, or what acts for one, chose that the machine saves power.

use std::path::Path;

use super::{names, read, sight};
use crate::conditions::Sight;

const PROFILE: &str = "sys/firmware/acpi/platform_profile";
const POLICIES: &str = "sys/devices/system/cpu/cpufreq";
const PREFERENCE: &str = "energy_performance_preference";

/// Goes by the platform's profile, which the power settings of desktops choose. A machine that has none goes by what the
/// processor was asked to prefer, which the same settings choose there: it saves power when every core prefers that
/// most. `balance_power` and other compromises are no such choice.
pub(super) fn look(root: &Path) -> Sight {
    if let Some(profile) = read(root, PROFILE) {
        return sight(profile != "low-power", format!("/{PROFILE} is {profile}"));
    }
    let policies = names(root, POLICIES).unwrap_or_default();
    let preference = |policy: &String| read(root, &format!("{POLICIES}/{policy}/{PREFERENCE}"));
    let preferences: Vec<String> = policies.iter().filter_map(preference).collect();
    if preferences.is_empty() {
        return sight(true, format!("assumed: neither /{PROFILE} nor any {PREFERENCE} below /{POLICIES} can be read"));
    }
    match preferences.iter().find(|preference| *preference != "power") {
        Some(other) => sight(true, format!("one {PREFERENCE} below /{POLICIES} is {other}")),
        None => sight(false, format!("every {PREFERENCE} below /{POLICIES} is power")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::linux::recorded;

    #[test]
    fn goes_by_the_profile_then_by_the_cores() {
        let core = |number: u8, preference| (format!("{POLICIES}/policy{number}/{PREFERENCE}"), preference);
        let profile = |word| (PROFILE.to_owned(), word);
        let cases = [
            ("balanced", vec![profile("balanced")], true, "platform_profile is balanced"),
            ("low power", vec![profile("low-power")], false, "platform_profile is low-power"),
            ("quiet is no saving", vec![profile("quiet")], true, "is quiet"),
            ("the profile goes first", vec![profile("performance"), core(0, "power")], true, "is performance"),
            ("cores that save", vec![core(0, "power"), core(1, "power")], false, "every energy_performance_preference"),
            ("one core that does not", vec![core(0, "balance_power"), core(1, "power")], true, "is balance_power"),
            ("cores that say nothing", vec![(format!("{POLICIES}/policy0/scaling_governor"), "x")], true, "assumed: "),
        ];
        for (case, files, holds, source) in cases {
            let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            let root = recorded(&files);
            let seen = look(root.path());
            assert_eq!(seen.holds, holds, "{case}: {seen:?}");
            assert!(seen.source.contains(source), "{case}: {seen:?}");
        }
    }
}
