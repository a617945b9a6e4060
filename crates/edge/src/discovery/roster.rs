//! What processes of one database say of each other: who is among them is told by the database, which each asks all the time.
//! So it is known of one that cannot be heard whether it still works, and may write, or has ended.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Word {
    /// Somebody who is heard has it among those on the database.
    Works,
    /// Nobody has, and one of those it knew itself is heard.
    Ended,
    /// Nobody is heard who could know.
    #[default]
    Unknown,
}

/// `knew` are those whom the one in question had met on its database, `said` who speaks and whom each has on its own.
pub fn word<'a>(life: &str, knew: &[String], said: impl Iterator<Item = (&'a str, &'a [String])>) -> Word {
    let mut word = Word::Unknown;
    for (speaker, members) in said {
        if members.iter().any(|member| member == life) {
            return Word::Works;
        }
        // Others may be on another database.
        if knew.iter().any(|member| member == speaker) {
            word = Word::Ended;
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_who_could_know_are_believed() {
        let [a, b] = [vec!["a".to_owned(), "b".to_owned()], vec!["b".to_owned()]];
        let judge = |knew: &[String], said: &[(&str, &[String])]| word("a", knew, said.iter().copied());
        assert_eq!(judge(&a, &[]), Word::Unknown);
        assert_eq!(judge(&a, &[("b", &a)]), Word::Works);
        assert_eq!(judge(&a, &[("b", &b)]), Word::Ended);
        assert_eq!(judge(&a, &[("b", &b), ("c", &a)]), Word::Works, "one who has it is enough");
        assert_eq!(judge(&a, &[("stranger", &b)]), Word::Unknown);
        assert_eq!(judge(&[], &[("b", &b)]), Word::Unknown);
    }
}
