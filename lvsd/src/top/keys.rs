//! What a terminal sends when keys are pressed.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A printable character of ASCII.
    Char(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
}

/// The keys behind the bytes of one read. Those that mean nothing here are left out. Terminals send a key's sequence at once, so
/// an escape character that nothing follows is the key of that name.
pub(super) fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let Some((&first, rest)) = bytes.split_first() {
        bytes = rest;
        keys.extend(match first {
            b'\r' | b'\n' => Some(Key::Enter),
            0x08 | 0x7f => Some(Key::Backspace),
            b' '..=b'~' => Some(Key::Char(first.into())),
            0x1b => match rest.split_first() {
                Some((b'[' | b'O', rest)) => {
                    let (key, rest) = sequence(rest);
                    bytes = rest;
                    key
                }
                _ => Some(Key::Escape),
            },
            _ => None,
        });
    }
    keys
}

/// A control sequence behind its introducer: digits and semicolons, and the byte that ends it (ECMA-48, 5.4).
fn sequence(bytes: &[u8]) -> (Option<Key>, &[u8]) {
    let end = bytes.iter().position(|b| (0x40..=0x7e).contains(b));
    let Some((parameters, [last, rest @ ..])) = end.and_then(|end| bytes.split_at_checked(end))
    else {
        return (None, &[]);
    };
    let key = match (last, parameters) {
        (b'A', _) => Some(Key::Up),
        (b'B', _) => Some(Key::Down),
        (b'C', _) => Some(Key::Right),
        (b'D', _) => Some(Key::Left),
        (b'H', _) | (b'~', b"1" | b"7") => Some(Key::Home),
        (b'F', _) | (b'~', b"4" | b"8") => Some(Key::End),
        (b'~', b"5") => Some(Key::PageUp),
        (b'~', b"6") => Some(Key::PageDown),
        _ => None,
    };
    (key, rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_have_sequences() {
        for (bytes, wanted) in [
            (&b"q"[..], &[Key::Char('q')][..]),
            (b"a b", &[Key::Char('a'), Key::Char(' '), Key::Char('b')]),
            (b"\r\n", &[Key::Enter, Key::Enter]),
            (b"\x7f\x08", &[Key::Backspace, Key::Backspace]),
            (b"\x1b", &[Key::Escape]),
            (b"\x1bx", &[Key::Escape, Key::Char('x')]),
            (
                b"\x1b[A\x1b[B\x1b[C\x1b[D",
                &[Key::Up, Key::Down, Key::Right, Key::Left],
            ),
            (b"\x1bOA\x1bOF", &[Key::Up, Key::End]),
            (b"\x1b[5~\x1b[6~", &[Key::PageUp, Key::PageDown]),
            (b"\x1b[H\x1b[4~\x1b[7~", &[Key::Home, Key::End, Key::Home]),
            (b"\x1b[1;5Aq", &[Key::Up, Key::Char('q')]),
            (b"\x1b[15~q", &[Key::Char('q')]),
            (b"\x1b[5", &[]),
            ("\u{e9}\t".as_bytes(), &[]),
        ] {
            assert_eq!(keys(bytes), wanted, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_key_is_one_that_can_be_shown(bytes: Vec<u8>) {
            for key in keys(&bytes) {
                if let Key::Char(c) = key {
                    prop_assert!(c.is_ascii_graphic() || c == ' ');
                }
            }
        }
    }
}
