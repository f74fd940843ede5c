//! Bytes of a peer, made fit for a log or a terminal.

/// How many bytes of a peer are shown at most.
const LIMIT: usize = 100;

/// In quotes, escaped, and cut after 100 bytes.
pub(super) fn shown(bytes: &[u8]) -> String {
    let cut = bytes.get(..LIMIT);
    let text = cut.unwrap_or(bytes).escape_ascii();
    match cut {
        Some(cut) if cut.len() < bytes.len() => format!("\"{text}\"..."),
        _ => format!("\"{text}\""),
    }
}

/// The first line of what a peer said, without its end.
pub(super) fn first_line(bytes: &[u8]) -> &[u8] {
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_peer_reaches_a_terminal_raw() {
        assert_eq!(shown(b"a\x1b[31m\"\r\n\xff"), r#""a\x1b[31m\"\r\n\xff""#);
        assert_eq!(shown(&[b'x'; 100]), format!("\"{}\"", "x".repeat(100)));
        assert_eq!(shown(&[b'x'; 101]), format!("\"{}\"...", "x".repeat(100)));
    }

    #[test]
    fn first_lines() {
        assert_eq!(first_line(b"one\r\ntwo"), b"one");
        assert_eq!(first_line(b"one\n"), b"one");
        assert_eq!(first_line(b""), b"");
    }
}
