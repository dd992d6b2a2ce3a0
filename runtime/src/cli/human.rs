//! Numbers and times as people read and write them.

use bytesize::ByteSize;
use jiff::{SignedDuration, Span, SpanRelativeTo};

use crate::{
    api::wire::{self, Progress, Text, Usage},
    rules::Timestamp,
};

/// `12.3 M`: three digits at most, and a decimal prefix.
pub(super) fn count(number: u64) -> String {
    // Each limit is where the prefix below it would be rounded to four digits.
    match number {
        0..1_000 => number.to_string(),
        1_000..999_950 => format!("{:.1} k", number as f64 / 1e3),
        999_950..999_950_000 => format!("{:.1} M", number as f64 / 1e6),
        999_950_000..999_950_000_000 => format!("{:.1} G", number as f64 / 1e9),
        _ => format!("{:.1} T", number as f64 / 1e12),
    }
}

/// `1.2 s`: a length of time in the unit that suits it.
pub(super) fn length(microseconds: u64) -> String {
    let seconds = microseconds.saturating_add(500_000) / 1_000_000;
    match microseconds {
        0..1_000 => format!("{microseconds} µs"),
        1_000..9_950 => format!("{:.1} ms", microseconds as f64 / 1e3),
        9_950..999_500 => format!("{:.0} ms", microseconds as f64 / 1e3),
        999_500..59_950_000 => format!("{:.1} s", microseconds as f64 / 1e6),
        _ if seconds < 3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// `4.5 MiB`.
pub(super) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// `1.2 s, 12.3 M fuel, 4.5 MiB`.
pub(super) fn usage(usage: &Usage) -> String {
    let Usage { fuel, wall_us, peak_memory_bytes } = *usage;
    format!("{}, {} fuel, {}", length(wall_us), count(fuel), size(peak_memory_bytes))
}

/// `12 of 40 (30 %)`; a guest may claim anything, a total of nothing included.
pub(super) fn progress(progress: &Progress) -> String {
    let Progress { completed, total } = *progress;
    match total {
        0 => format!("{completed}"),
        _ => format!("{completed} of {total} ({} %)", percent(progress)),
    }
}

/// Between 0 and 100, whatever the guest claims.
pub(super) fn percent(progress: &Progress) -> u64 {
    let Progress { completed, total } = *progress;
    match total {
        0 => 0,
        _ => (u128::from(completed.min(total)) * 100 / u128::from(total)) as u64,
    }
}

/// To the second, in UTC.
pub(super) fn moment(at: &Text<Timestamp>) -> String {
    format!("{:.0}", at.0)
}

/// `1.2 s ago`; what a clock that was set back puts into the future is now.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    let microseconds = u64::try_from(now.duration_since(then).as_micros()).unwrap_or_default();
    format!("{} ago", length(microseconds))
}

/// `task`, `tasks`.
pub(super) fn plural(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// Reads `15m`, `2h30m`, `3 days`. Days have 24 hours here; months have no length.
pub(super) fn parse_length(text: &str) -> Result<SignedDuration, String> {
    let fault = || format!("`{text}` is not a length of time, such as 15m, 2h30m or 3 days");
    let span: Span = text.parse().map_err(|_| fault())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| fault())?;
    match length.is_negative() {
        true => Err(format!("`{text}` lies in the past")),
        false => Ok(length),
    }
}

/// A title and what stands below it, in one line.
pub(super) fn title(title: &str, subtitle: &str) -> String {
    match subtitle {
        "" => title.to_owned(),
        subtitle => format!("{title} – {subtitle}"),
    }
}

/// What a bundle was given, in a few words.
pub(super) fn grant(grant: &wire::Grant) -> String {
    match grant {
        wire::Grant::Directory { name, access, path } => format!("{name}={path} ({access})"),
        wire::Grant::Http { origin, private: false } => origin.clone(),
        wire::Grant::Http { origin, private: true } => format!("{origin} (private)"),
        wire::Grant::Config { name, value } => format!("{name}={value}"),
        wire::Grant::Secret { name, source, header } => {
            let source = match source {
                wire::SecretSource::File(path) => path.display().to_string(),
                wire::SecretSource::Credential(credential) => format!("credential {credential}"),
            };
            let header = header.as_ref().map(|header| format!(", only to {} as {}", header.origin, header.name));
            format!("{name} from {source}{}", header.unwrap_or_default())
        }
        wire::Grant::Study { name } => format!("study {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_that_were_are_so_long_ago() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (then, now, shown) in
            [(0, 0, "0 µs ago"), (10, 12, "2.0 s ago"), (10, 3_700, "1 h 1 min ago"), (12, 10, "0 µs ago")]
        {
            assert_eq!(ago(at(then), at(now)), shown);
        }
    }

    #[test]
    fn counts_have_three_digits_and_a_prefix() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1.0 k"),
            (12_345, "12.3 k"),
            (999_949, "999.9 k"),
            (999_950, "1.0 M"),
            (12_345_678, "12.3 M"),
            (999_960_000, "1.0 G"),
            (1_500_000_000_000, "1.5 T"),
        ];
        for (number, text) in cases {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn lengths_of_time_take_the_unit_that_suits_them() {
        let cases = [
            (0, "0 µs"),
            (850, "850 µs"),
            (1_500, "1.5 ms"),
            (9_960, "10 ms"),
            (340_000, "340 ms"),
            (999_499, "999 ms"),
            (999_500, "1.0 s"),
            (1_234_567, "1.2 s"),
            (59_960_000, "1 min 0 s"),
            (125_000_000, "2 min 5 s"),
            (3_600_000_000, "1 h 0 min"),
            (u64::MAX, "5124095576 h 1 min"),
        ];
        for (microseconds, text) in cases {
            assert_eq!(length(microseconds), text);
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size(512), "512 B");
        assert_eq!(size(4_718_592), "4.5 MiB");
        assert_eq!(
            usage(&Usage { fuel: 12_300_000, wall_us: 1_200_000, peak_memory_bytes: 65_536 }),
            "1.2 s, 12.3 M fuel, 64.0 KiB"
        );
    }

    #[test]
    fn progress_stays_sane_whatever_a_guest_claims() {
        let show = |completed, total| progress(&Progress { completed, total });
        assert_eq!(show(12, 40), "12 of 40 (30 %)");
        assert_eq!(show(5, 0), "5");
        assert_eq!(show(9, 3), "9 of 3 (100 %)");
        assert_eq!(show(u64::MAX, u64::MAX), "18446744073709551615 of 18446744073709551615 (100 %)");
    }

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        let cases = [
            ("15m", 900),
            ("2h30m", 9_000),
            ("90 s", 90),
            ("1 day", 86_400),
            ("1w", 604_800),
            ("0s", 0),
            ("PT15M", 900),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_length(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        for text in ["", "15", "soon", "1 month", "-5m", "5m ago"] {
            assert!(parse_length(text).is_err(), "{text}");
        }
    }
}
