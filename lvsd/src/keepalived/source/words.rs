//! Words: how a line, and the command in it, is cut up.
//!
//! | cut | for | quotes | backslash |
//! |---|---|---|---|
//! | [`plain`] | most lines | `"…"` is a word of its own | nothing special |
//! | [`shell`] | commands and regular expressions | `"…"` and `'…'`, also in mid-word | keeps what follows from being a quote or blank |
//! | [`split_command`] | the command, once cut out | the same | escapes |
//!
//! keepalived 2.2 undoes escapes in the second cut, and again in the third; later versions leave backslashes alone there. We are
//! between them: within quotes `\\` and the escaped quote become what they stand for, as in a shell, so that a command
//! in a quoted command means what it looks like; all other escapes, which a regular expression needs, stay.

use std::fmt;
use std::ops::Range;

use super::text::is_blank;

/// A word: its text, and where it stands, quotes included.
pub(super) type Cut = (String, Range<usize>);

/// A quote that is not closed begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unclosed(pub(super) usize);

/// Cuts at blanks. A word that begins with `"` ends with the next one; a `"` in mid-word begins the next word.
pub(super) fn plain(text: &str) -> Result<Vec<Cut>, Unclosed> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if is_blank(byte) {
            at += 1;
        } else if byte == b'"' {
            let len = find(bytes, at + 1, |b| b == b'"').ok_or(Unclosed(at))?;
            let end = at + 1 + len;
            words.push((text[at + 1..end].to_owned(), at..end + 1));
            at = end + 1;
        } else {
            let len = find(bytes, at, |b| is_blank(b) || b == b'"').unwrap_or(bytes.len() - at);
            words.push((text[at..at + len].to_owned(), at..at + len));
            at += len;
        }
    }
    Ok(words)
}

/// Cuts as a shell would, but leaves escapes to whoever uses the word.
pub(super) fn shell(text: &str) -> Result<Vec<Cut>, Unclosed> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        at += find(bytes, at, |b| !is_blank(b)).unwrap_or(bytes.len() - at);
        if at == bytes.len() {
            return Ok(words);
        }
        let start = at;
        let mut word = String::new();
        let mut quote: Option<(u8, usize)> = None;
        while let Some(&byte) = bytes.get(at) {
            let from = at;
            at += 1;
            match (quote, byte) {
                (Some((open, _)), b'\\') => {
                    let next = bytes.get(at).copied();
                    if next == Some(open) || next == Some(b'\\') {
                        word.push_str(&text[at..=at]);
                        at += 1;
                    } else {
                        word.push('\\');
                    }
                    continue;
                }
                (None, b'\\') => at = ceil(text, at + 1),
                (Some((open, _)), _) if byte == open => {
                    quote = None;
                    continue;
                }
                (None, b'"' | b'\'') => {
                    quote = Some((byte, from));
                    continue;
                }
                (None, _) if is_blank(byte) => {
                    at = from;
                    break;
                }
                _ => at = from + run(&bytes[from..]),
            }
            word.push_str(&text[from..at]);
        }
        if let Some((_, opened)) = quote {
            return Err(Unclosed(opened));
        }
        words.push((word, start..at));
    }
}

/// How many bytes stand for nothing but themselves; the first does in any case.
fn run(bytes: &[u8]) -> usize {
    let special = |b| is_blank(b) || matches!(b, b'"' | b'\'' | b'\\');
    find(bytes, 1, special).map_or(bytes.len(), |len| len + 1)
}

/// The next boundary of characters.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|i| text.is_char_boundary(*i))
        .unwrap_or(text.len())
}

/// How many bytes after `from` the first is that fits.
fn find(bytes: &[u8], from: usize, fits: impl Fn(u8) -> bool) -> Option<usize> {
    bytes.get(from..)?.iter().position(|b| fits(*b))
}

/// Why a command cannot be cut into its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers word each of them")]
pub enum CommandError {
    /// A quote is not closed.
    UnclosedQuote,
    /// It ends with a backslash.
    LastBackslash,
    /// An escape makes a zero byte, which no argument can hold.
    Zero,
    /// Escapes make bytes that are not UTF-8.
    NotUtf8,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnclosedQuote => "a quote is not closed",
            Self::LastBackslash => "nothing follows the last backslash",
            Self::Zero => "an argument cannot hold a zero byte",
            Self::NotUtf8 => "an argument is not UTF-8",
        })
    }
}

/// Cuts a command into its arguments.
///
/// Blanks separate; `"…"` and `'…'` hold together, also in mid-word. A backslash begins an escape, in quotes as
/// well: `\a \b \E \f \n \r \t \v`, `\nnn` octal with up to three digits, `\xHH` hexadecimal with up to two, `\cC` a control
/// character; before anything else it stands for that.
///
/// # Errors
///
/// [`CommandError`]
pub fn split_command(text: &str) -> Result<Vec<String>, CommandError> {
    let mut rest = text.as_bytes();
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    while let Some((&byte, more)) = rest.split_first() {
        rest = more;
        match byte {
            b'\\' => {
                let made = escape(&mut rest).ok_or(CommandError::LastBackslash)?;
                if made == 0 {
                    return Err(CommandError::Zero);
                }
                word.get_or_insert_default().push(made);
            }
            _ if quote == Some(byte) => quote = None,
            b'"' | b'\'' if quote.is_none() => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            _ if quote.is_none() && is_blank(byte) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    if quote.is_some() {
        return Err(CommandError::UnclosedQuote);
    }
    words.extend(word);
    words
        .into_iter()
        .map(|w| String::from_utf8(w).map_err(|_| CommandError::NotUtf8))
        .collect()
}

/// What an escape stands for, whose backslash is gone.
fn escape(rest: &mut &[u8]) -> Option<u8> {
    let (&byte, more) = rest.split_first()?;
    *rest = more;
    Some(match byte {
        b'a' => 0x07,
        b'b' => 0x08,
        b'E' => 0x1b,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'x' if digit(rest, 16).is_some() => number(0, rest, 16, 2),
        b'0'..=b'7' => number(byte - b'0', rest, 8, 2),
        b'c' => match rest.split_first() {
            Some((&byte, more)) => {
                *rest = more;
                byte & 0x1f
            }
            None => b'c',
        },
        other => other,
    })
}

/// A number of up to `most` more digits; too large ones lose their upper bits.
fn number(mut value: u8, rest: &mut &[u8], base: u8, most: usize) -> u8 {
    for _ in 0..most {
        let Some(more) = digit(rest, base) else { break };
        value = value.wrapping_mul(base).wrapping_add(more);
        *rest = rest.get(1..).unwrap_or_default();
    }
    value
}

fn digit(rest: &[u8], base: u8) -> Option<u8> {
    let digit = char::from(*rest.first()?).to_digit(u32::from(base))?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(cut: Result<Vec<Cut>, Unclosed>) -> Vec<String> {
        cut.unwrap().into_iter().map(|w| w.0).collect()
    }

    #[test]
    fn plain_words() {
        assert_eq!(texts(plain(" a\tb\x0bc ")), ["a", "b", "c"]);
        assert_eq!(
            texts(plain(r#"a"b c" "" 'x y' q\z"#)),
            ["a", "b c", "", "'x", "y'", r"q\z"]
        );
        assert_eq!(texts(plain(r#""x y"z"#)), ["x y", "z"]);
        assert_eq!(plain(r#"a "b"#), Err(Unclosed(2)));
        assert_eq!(plain(r#"a"b" c""#), Err(Unclosed(6)));
        let places: Vec<_> = plain(r#"a "b c"d"#)
            .unwrap()
            .into_iter()
            .map(|w| w.1)
            .collect();
        assert_eq!(places, [0..1, 2..7, 7..8]);
    }

    #[test]
    fn shell_words() {
        assert_eq!(
            texts(shell(r#"ab" c d "ef 'g "h'"#)),
            ["ab c d ef", "g \"h"]
        );
        assert_eq!(texts(shell(r#""" x"#)), ["", "x"]);
        assert_eq!(
            texts(shell(r#""a \"b c\" \\ \." d"#)),
            [r#"a "b c" \ \."#, "d"]
        );
        assert_eq!(texts(shell(r#"'a\'b \" \d'"#)), [r#"a'b \" \d"#]);
        assert_eq!(texts(shell(r#"a\ b\"c\ü\\"#)), [r#"a\ b\"c\ü\\"#]);
        assert_eq!(texts(shell(r"a\")), [r"a\"]);
        assert_eq!(shell(r#"x a'b"#), Err(Unclosed(3)));
        assert_eq!(shell(r#""a\""#), Err(Unclosed(0)));
        let places: Vec<_> = shell(r#" a" b"c 'd'"#)
            .unwrap()
            .into_iter()
            .map(|w| w.1)
            .collect();
        assert_eq!(places, [1..7, 8..11]);
    }

    /// What keepalived makes of the same commands.
    #[test]
    fn commands() {
        let split = |text| split_command(text).unwrap();
        assert_eq!(
            split(r#"/bin/echo "hi x" 'a b' A\ c"#),
            ["/bin/echo", "hi x", "a b", "A c"]
        );
        assert_eq!(
            split(r"/bin/echo '' \141\q \cA \xg \x414"),
            ["/bin/echo", "", "aq", "\x01", "xg", "A4"]
        );
        assert_eq!(split(r#"a"b c"'d'\"e"#), ["ab cd\"e"]);
        assert_eq!(
            split(r"\a\b\E\f\n\r\t\v\0101\x7"),
            ["\x07\x08\x1b\x0c\n\r\t\x0b\x081\x07"]
        );
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split("ä \\ö"), ["ä", "ö"]);
        for (wrong, why) in [
            ("a 'b", CommandError::UnclosedQuote),
            ("a\\", CommandError::LastBackslash),
            (r"a\0", CommandError::Zero),
            (r"\xff", CommandError::NotUtf8),
        ] {
            assert_eq!(split_command(wrong), Err(why), "{wrong}");
            assert!(!why.to_string().is_empty());
        }
    }
}
