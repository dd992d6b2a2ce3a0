//! Guesses which known word a mistyped one was meant to be, for messages that say the mend.

/// How alike two words must be, from 0 to 1, before the one is offered for the other.
const ALIKE: f64 = 0.6;

/// The known word most like `word`; none when nothing is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_the_nearest_word_or_none() {
        let known = ["network", "no-network", "idle", "no-idle"];
        let cases = [("ilde", Some("idle")), ("netwrk", Some("network")), ("no-idel", Some("no-idle")), ("moon", None)];
        for (word, expected) in cases {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
