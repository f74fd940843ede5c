//! Patterns of file names, as the C library's `glob` has them: `*`, `?`, `[a-z]`, `[!a-z]`, `\` before a character that shall be
//! taken as it is, and alternatives `{a,b}`.
//!
//! Wildcards match neither `/` nor a dot at the beginning of a name.

use std::path::{Path, PathBuf};

use super::super::host::Host;

/// More alternatives than anybody writes.
const MOST_ALTERNATIVES: usize = 1000;

/// Writes out the alternatives in braces, in their order. `None` if they are too many.
pub(super) fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let mut done = Vec::new();
    let mut ahead = vec![pattern.to_owned()];
    while let Some(pattern) = ahead.pop() {
        match first_braces(&pattern) {
            None => done.push(pattern),
            Some((before, inside, after)) => {
                ahead.extend(
                    inside
                        .iter()
                        .rev()
                        .map(|middle| format!("{before}{middle}{after}")),
                );
            }
        }
        if done.len() + ahead.len() > MOST_ALTERNATIVES {
            return None;
        }
    }
    Some(done)
}

/// The text before the first braces, what is in them, and the text behind. `{}` is no alternative.
fn first_braces(pattern: &str) -> Option<(&str, Vec<&str>, &str)> {
    let bytes = pattern.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'{' => {
                if let Some((commas, end)) = closing(bytes, at)
                    && end > at + 1
                {
                    let ends = commas.iter().copied().chain([end]);
                    let starts = [at].into_iter().chain(commas.iter().copied());
                    let inside = starts.zip(ends).filter_map(|(s, e)| pattern.get(s + 1..e));
                    return Some((
                        pattern.get(..at)?,
                        inside.collect(),
                        pattern.get(end + 1..)?,
                    ));
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the braces opened at `open` are closed, and the commas that belong to them.
fn closing(bytes: &[u8], open: usize) -> Option<(Vec<usize>, usize)> {
    let (mut commas, mut depth, mut at) = (Vec::new(), 0_usize, open);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'{' => depth += 1,
            b',' if depth == 1 => commas.push(at),
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some((commas, at));
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Whether a pattern has a wildcard.
pub(super) fn is_wild(pattern: &str) -> bool {
    let mut bytes = pattern.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// The paths that match a pattern without braces, sorted. Relative ones are looked for in `folder`.
pub(super) fn matches(folder: &Path, pattern: &str, host: &dyn Host) -> Vec<PathBuf> {
    let mut found = match pattern.starts_with('/') {
        true => vec![PathBuf::from("/")],
        false => vec![folder.to_owned()],
    };
    let mut parts = pattern.split('/').filter(|p| !p.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        found = found
            .into_iter()
            .flat_map(|folder| below(&folder, part, host))
            .filter(|path| last || host.stat(path).is_ok_and(|stat| stat.folder))
            .collect();
    }
    found
}

/// What in a folder matches one part of a pattern.
fn below(folder: &Path, part: &str, host: &dyn Host) -> Vec<PathBuf> {
    if !is_wild(part) {
        let path = folder.join(literal(part));
        return host
            .stat(&path)
            .is_ok()
            .then_some(path)
            .into_iter()
            .collect();
    }
    let folder_or_here = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let names = host.list(folder_or_here).unwrap_or_default();
    let part: Vec<char> = part.chars().collect();
    names
        .into_iter()
        .filter(|name| fits(&part, name))
        .map(|name| folder.join(name))
        .collect()
}

/// A pattern without its backslashes.
pub(super) fn literal(pattern: &str) -> String {
    let mut text = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => chars.next().unwrap_or(c),
            c => c,
        });
    }
    text
}

/// Whether a name fits one part of a pattern.
fn fits(pattern: &[char], name: &str) -> bool {
    if name.starts_with('.') && pattern.first() != Some(&'.') {
        return false;
    }
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to go on if it does not fit: behind the last star, with one more character under the star.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), name.get(n)) {
            (None, None) => return true,
            (Some('*'), _) => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            (Some(_), Some(c)) => one(pattern, p, *c),
            _ => None,
        };
        match (step, &mut star) {
            (Some(next), _) => {
                p = next;
                n += 1;
            }
            (None, Some((behind, from))) if *from < name.len() => {
                *from += 1;
                (p, n) = (*behind, *from);
            }
            _ => return false,
        }
    }
}

/// Where a pattern goes on if its part at `p` fits a character.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => match class(pattern, p + 1, c) {
            Some((true, next)) => Some(next),
            Some((false, _)) => None,
            None => (c == '[').then_some(p + 1),
        },
        '\\' => match pattern.get(p + 1) {
            Some(escaped) => (*escaped == c).then_some(p + 2),
            None => (c == '\\').then_some(p + 1),
        },
        other => (*other == c).then_some(p + 1),
    }
}

/// Whether a class contains a character, and where it ends; `None` if it does not end.
fn class(pattern: &[char], start: usize, c: char) -> Option<(bool, usize)> {
    let mut at = start;
    let negated = matches!(pattern.get(at)?, '!' | '^');
    at += usize::from(negated);
    let first = at;
    let mut contains = false;
    loop {
        let low = match *pattern.get(at)? {
            ']' if at > first => return Some((contains != negated, at + 1)),
            '\\' => {
                at += 1;
                *pattern.get(at)?
            }
            low => low,
        };
        at += 1;
        match pattern.get(at..at + 2) {
            Some(&['-', high]) if high != ']' => {
                contains |= (low..=high).contains(&c);
                at += 2;
            }
            _ => contains |= low == c,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::host::FakeHost;
    use super::*;

    #[test]
    fn braces() {
        for (pattern, all) in [
            ("a", "a"),
            ("{a,b}.conf", "a.conf b.conf"),
            ("x{a,b{1,2},}y", "xay xb1y xb2y xy"),
            ("{a,b}{c,d}", "ac ad bc bd"),
            ("a{b", "a{b"),
            ("a{}b", "a{}b"),
            ("{a}", "a"),
            ("\\{a,b}", "\\{a,b}"),
            ("}a,b{", "}a,b{"),
        ] {
            assert_eq!(alternatives(pattern).unwrap().join(" "), all, "{pattern}");
        }
        assert_eq!(alternatives(&"{a,b}".repeat(40)), None);
    }

    #[test]
    fn names() {
        for (pattern, name, expected) in [
            ("*", "a.conf", true),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf~", false),
            ("*a*a", "xaxxa", true),
            ("*a*a", "xaxx", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[^a-c]1", "d1", true),
            ("[]x]", "]", true),
            ("[a-]", "-", true),
            ("[ab", "[ab", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("ä*", "äö", true),
            ("", "", true),
        ] {
            let pattern: Vec<char> = pattern.chars().collect();
            assert_eq!(fits(&pattern, name), expected, "{pattern:?} {name}");
        }
        let slow: Vec<char> = "*a".repeat(50).chars().collect();
        assert!(!fits(&slow, &"a".repeat(49)));
    }

    #[test]
    fn paths() {
        let host = FakeHost::default()
            .with_file("/etc/k/b.conf", "")
            .with_file("/etc/k/a.conf", "")
            .with_file("/etc/k/sub/c.conf", "")
            .with_file("/etc/k/s[1]", "");
        let found = |pattern| matches("/etc/k".as_ref(), pattern, &host);
        for (pattern, paths) in [
            ("*.conf", &["/etc/k/a.conf", "/etc/k/b.conf"] as &[_]),
            ("*/*.conf", &["/etc/k/sub/c.conf"]),
            ("/etc/*/s*/c.conf", &["/etc/k/sub/c.conf"]),
            ("a.conf", &["/etc/k/a.conf"]),
            ("./a.conf", &["/etc/k/./a.conf"]),
            ("s\\[1\\]", &["/etc/k/s[1]"]),
            ("none", &[]),
            ("a.conf/*", &[]),
        ] {
            assert_eq!(
                found(pattern),
                paths.iter().map(PathBuf::from).collect::<Vec<_>>(),
                "{pattern}"
            );
        }
    }
}
