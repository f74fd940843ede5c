//! Conditions: `@ID rest` counts if ID is the configuration's, `@^ID rest` if it is not.

/// What a condition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition<'a> {
    /// With what it compares; may be empty.
    pub(super) id: &'a str,
    /// Whether the rest of the line counts.
    pub(super) holds: bool,
    /// How long it is, with the `@`.
    pub(super) len: usize,
}

/// Reads the condition that a line begins with.
pub(super) fn condition<'a>(line: &'a str, config_id: &str) -> Option<Condition<'a>> {
    let word = line.strip_prefix('@')?;
    let end = word.find(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let (word, _) = word.split_at(end.unwrap_or(word.len()));
    let (id, wanted) = match word.strip_prefix('^') {
        Some(id) => (id, false),
        None => (word, true),
    };
    Some(Condition {
        id,
        holds: (id == config_id) == wanted,
        len: word.len() + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        for (line, holds, rest) in [
            ("@main a", true, " a"),
            ("@backup a", false, " a"),
            ("@^main a", false, " a"),
            ("@^backup\ta", true, "\ta"),
            ("@main", true, ""),
            ("@ a", false, " a"),
            ("@^ a", true, " a"),
            ("@main@main a", false, " a"),
            ("@^other{ a", true, " a"),
        ] {
            let found = condition(line, "main").unwrap();
            assert_eq!((found.holds, &line[found.len..]), (holds, rest), "{line}");
        }
        assert_eq!(condition("main a", "main"), None);
    }
}
