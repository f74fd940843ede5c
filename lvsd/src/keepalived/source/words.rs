//! Words: how a line, and the command in it, is cut up.
//!
//! | cut | for | quotes | backslash |
//! |---|---|---|---|
//! | [`plain`] | most lines | `"…"` is a word of its own | nothing special |
//! | [`shell`] | commands and regular expressions | `"…"` and `'…'`, also in mid-word | stays, but nothing special |
//! | [`split_command`] | the command, once cut out | the same | escapes |

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

/// Cuts as a shell would, but backslashes are left as they are.
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
        while let Some(&byte) = bytes.get(at).filter(|b| !is_blank(**b)) {
            if byte == b'"' || byte == b'\'' {
                let len = find(bytes, at + 1, |b| b == byte).ok_or(Unclosed(at))?;
                word.push_str(&text[at + 1..at + 1 + len]);
                at += len + 2;
            } else {
                let len = find(bytes, at, |b| is_blank(b) || b == b'"' || b == b'\'')
                    .unwrap_or(bytes.len() - at);
                word.push_str(&text[at..at + len]);
                at += len;
            }
        }
        words.push((word, start..at));
    }
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
