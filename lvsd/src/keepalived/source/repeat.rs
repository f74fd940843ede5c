//! Repetitions: `~SEQ(var, start, step, end) rest`, `~SEQx(…) rest` and `~LST(…) rest`.
//!
//! | form | the rest of the line with |
//! |---|---|
//! | `~SEQ(n, 3)`, `~SEQ(n, -3)` | 1, 2, 3; −1, −2, −3 |
//! | `~SEQ(n, 5, 3)` | 5, 4, 3 |
//! | `~SEQ(n, 0, 16, 48)` | 0, 16, 32, 48 |
//! | `~SEQx(n, 9, 10)` | 9, a |
//! | `~LST(n, a, b)` | a, b |
//! | `~LST({m, n}, {a, b}, {c})` | a and b; c and nothing |
//!
//! Numbers are decimal, hexadecimal (`0x`) or octal (`0`).

use super::parameter;

/// What a repetition runs through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Repetition {
    /// Numbers.
    Sequence {
        name: String,
        /// The next; none if all have been.
        next: Option<i64>,
        step: i64,
        end: i64,
        hexadecimal: bool,
    },
    /// Values written down, the last first; each as many as there are names.
    List {
        names: Vec<String>,
        values: Vec<Vec<String>>,
    },
}

/// The head of a repetition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// Where what is in its parentheses begins, and ends.
    pub(super) inside: std::ops::Range<usize>,
}

/// Which repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `~SEQ`
    Sequence,
    /// `~SEQx`
    Hexadecimal,
    /// `~LST`
    List,
}

const KINDS: [(&str, Kind); 3] = [
    ("~SEQx", Kind::Hexadecimal),
    ("~SEQ", Kind::Sequence),
    ("~LST", Kind::List),
];

/// Finds the head that a line begins with; `None` if it begins with something else.
///
/// # Errors
///
/// What is wrong.
pub(super) fn head(line: &str) -> Option<Result<Head, &'static str>> {
    let word = line.strip_prefix('~')?;
    let letters = word.bytes().take_while(u8::is_ascii_alphabetic).count();
    let blanks = word
        .bytes()
        .skip(letters)
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    let start = 1 + letters + blanks + 1;
    let open = line.as_bytes().get(start - 1) == Some(&b'(');
    let known = KINDS
        .iter()
        .find(|(name, _)| Some(*name) == line.get(..=letters));
    Some(match known {
        None if letters == 0 || !open => return None,
        None => Err("there are `~SEQ`, `~SEQx` and `~LST`"),
        Some(_) if !open => Err("`(` is missing"),
        Some((_, kind)) => match line.get(start..).and_then(|rest| rest.find(')')) {
            Some(len) => Ok(Head {
                kind: *kind,
                inside: start..start + len,
            }),
            None => Err("`)` is missing"),
        },
    })
}

/// Where another head stands in a line, outside of quotes.
pub(super) fn misplaced(line: &str) -> Option<std::ops::Range<usize>> {
    KINDS.iter().skip(1).find_map(|(name, _)| {
        let at = line.find(name)?;
        let tail = line.get(at + name.len()..)?.trim_start_matches('x');
        let quoted = line.get(..at)?.matches('"').count() % 2 == 1;
        (!quoted && tail.trim_start().starts_with('(')).then_some(at..at + name.len())
    })
}

impl Repetition {
    /// Reads what is in the parentheses.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub(super) fn parse(kind: Kind, inside: &str) -> Result<Self, String> {
        match kind {
            Kind::Sequence => sequence(inside, false),
            Kind::Hexadecimal => sequence(inside, true),
            Kind::List => list(inside),
        }
    }

    /// Its variables.
    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::Sequence { name, .. } => std::slice::from_ref(name),
            Self::List { names, .. } => names,
        }
    }

    /// How many times it repeats.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Sequence { next: None, .. } => 0,
            Self::Sequence {
                next: Some(next),
                step,
                end,
                ..
            } => (end.abs_diff(*next) / step.unsigned_abs().max(1)).saturating_add(1),
            Self::List { values, .. } => u64::try_from(values.len()).unwrap_or(u64::MAX),
        }
    }

    /// Leaves only the first round.
    pub(super) fn once(&mut self) {
        match self {
            Self::Sequence { next, end, .. } => *end = next.unwrap_or(*end),
            Self::List { values, .. } => {
                values.drain(..values.len().saturating_sub(1));
            }
        }
    }

    /// The next values of its variables.
    pub(super) fn advance(&mut self) -> Option<Vec<String>> {
        match self {
            Self::Sequence {
                next,
                step,
                end,
                hexadecimal,
                ..
            } => {
                let value = (*next)?;
                *next = value
                    .checked_add(*step)
                    .filter(|v| if *step > 0 { v <= end } else { v >= end });
                Some(vec![if *hexadecimal {
                    format!("{value:x}")
                } else {
                    value.to_string()
                }])
            }
            Self::List { values, .. } => values.pop(),
        }
    }
}

fn sequence(inside: &str, hexadecimal: bool) -> Result<Repetition, String> {
    let mut parts = inside.split(',').map(str::trim);
    let name = variable(parts.next().unwrap_or_default())?;
    let numbers = parts.map(number).collect::<Result<Vec<_>, _>>()?;
    let towards = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let (start, step, end) = match *numbers {
        [end] => {
            let start = if end < 0 { -1 } else { 1 };
            (start, towards(start, end), end)
        }
        [start, end] => (start, towards(start, end), end),
        [start, step, end] => (start, step, end),
        _ => return Err("it takes a name and one, two or three numbers".to_owned()),
    };
    if step == 0 || (end != start && (step > 0) != (end > start)) {
        return Err(format!("steps of {step} do not lead from {start} to {end}"));
    }
    if hexadecimal && (start < 0 || end < 0) {
        return Err("`~SEQx` takes no negative numbers".to_owned());
    }
    Ok(Repetition::Sequence {
        name,
        next: Some(start),
        step,
        end,
        hexadecimal,
    })
}

fn variable(text: &str) -> Result<String, String> {
    match parameter::name(text) {
        Some(name) if name == text => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is not a name")),
    }
}

/// Reads a number as C's `strtol` with base 0 would.
fn number(text: &str) -> Result<i64, String> {
    let digits = text.trim_start_matches(['+', '-']);
    let sign = match text.len() - digits.len() {
        0 => "",
        1 if text.starts_with('-') => "-",
        1 => "",
        _ => return Err(format!("`{text}` is not a number")),
    };
    let (digits, base) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (digits.get(2..).unwrap_or_default(), 16),
        [b'0', _, ..] => (digits, 8),
        _ => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return Err(format!("`{text}` is not a number"));
    }
    i64::from_str_radix(&format!("{sign}{digits}"), base)
        .map_err(|_| format!("`{text}` is not a number"))
}

fn list(inside: &str) -> Result<Repetition, String> {
    let mut items = items(inside)?.into_iter();
    let Some(names) = items.next().filter(|_| items.len() > 0) else {
        return Err("it takes a name and its values".to_owned());
    };
    let names = names
        .into_iter()
        .map(variable)
        .collect::<Result<Vec<_>, _>>()?;
    let mut values = Vec::new();
    for item in items {
        if item.len() > names.len() {
            let (values, names) = (item.len(), names.len());
            return Err(format!("{values} values for {names} name(s)"));
        }
        let missing = names.len() - item.len();
        let item = item.into_iter().chain(std::iter::repeat_n("", missing));
        values.push(item.map(str::to_owned).collect());
    }
    values.reverse();
    Ok(Repetition::List { names, values })
}

/// Cuts at commas, and what is in braces once more.
fn items(inside: &str) -> Result<Vec<Vec<&str>>, String> {
    let mut items = Vec::new();
    let mut rest = inside;
    loop {
        rest = rest.trim_start();
        let item = match rest.strip_prefix('{') {
            Some(braced) => {
                let (item, tail) = braced.split_once('}').ok_or("`}` is missing")?;
                rest = tail.trim_start();
                item.split(',').map(str::trim).collect()
            }
            None => {
                let (item, tail) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                rest = tail;
                vec![item.trim_end()]
            }
        };
        if let Some(wrong) = item.iter().find(|v| v.contains(['{', '}', ' ', '\t'])) {
            return Err(format!("`{wrong}` is not a value: no blanks, no braces"));
        }
        items.push(item);
        match rest.strip_prefix(',') {
            Some(tail) => rest = tail,
            None if rest.is_empty() => return Ok(items),
            None => return Err(format!("`,` is missing before `{rest}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(line: &str) -> Result<Vec<Vec<String>>, String> {
        let head = head(line).unwrap()?;
        let mut repetition = Repetition::parse(head.kind, &line[head.inside])?;
        let count = repetition.count();
        let values: Vec<_> = std::iter::from_fn(|| repetition.advance())
            .take(100)
            .collect();
        assert_eq!(count, values.len() as u64, "{line}");
        Ok(values)
    }

    /// What keepalived makes of the same lines.
    #[test]
    fn sequences() {
        for (line, values) in [
            ("~SEQ(n, 2) a", "1 2"),
            ("~SEQ(n,0)", "1 0"),
            ("~SEQ(n,-2)", "-1 -2"),
            ("~SEQ(n,3,-1,1)", "3 2 1"),
            ("~SEQ(n,3,1)", "3 2 1"),
            ("~SEQ(n,0x8,010)", "8"),
            ("~SEQx(n,8,17)", "8 9 a b c d e f 10 11"),
            ("~SEQx(X,0x90,0x10,0xc0)", "90 a0 b0 c0"),
            ("~SEQ (n,1,2)", "1 2"),
            ("~SEQ( _n , 1 , 2 )", "1 2"),
            ("~SEQ(n,1,5,2)", "1"),
            ("~SEQ(n,1,2,7)", "1 3 5 7"),
            ("~SEQ(n,+1,2)", "1 2"),
            (
                "~SEQ(n,9223372036854775806,9223372036854775807)",
                "9223372036854775806 9223372036854775807",
            ),
        ] {
            assert_eq!(all(line).unwrap().concat().join(" "), values, "{line}");
        }
        for wrong in [
            "~SEQ(n,1,-1,7)",
            "~SEQ(n,1,0,7)",
            "~SEQ(n,a,7)",
            "~SEQ(n,1,2",
            "~SEQ(1n,1,2)",
            "~SEQ(n)",
            "~SEQ()",
            "~SEQ n",
            "~SEQ(n,1,2,3,4)",
            "~SEQ(n,--1)",
            "~SEQ(n,0x+1)",
            "~SEQ(n,08)",
            "~SEQ(n,9223372036854775808)",
            "~SEQx(n,-2,1)",
            "~seq(n,1,2)",
            "~LSTx(a,1)",
        ] {
            assert!(all(wrong).is_err(), "{wrong}");
        }
        assert_eq!(head("~alice"), None);
        assert_eq!(head("~/x (a)"), None);
        let most = Repetition::parse(Kind::Sequence, "n,-9223372036854775808,9223372036854775807");
        assert_eq!(most.unwrap().count(), u64::MAX);
    }

    #[test]
    fn lists() {
        for (line, values) in [
            ("~LST(a,1,2)", "1|2"),
            ("~LST({a},{1},{2})", "1|2"),
            ("~LST({a,b},1,2)", "1,|2,"),
            ("~LST({a,b},{1,2},{3})", "1,2|3,"),
            ("~LST({ a , b },{ 1 , 2 },{ })", "1,2|,"),
            ("~LST({a,b},{,2},{3,})", ",2|3,"),
            ("~LST(a,1,,3)", "1||3"),
            ("~LST(a,)", ""),
            ("~LST(a,1\\,2)", "1\\|2"),
        ] {
            let values = values.split('|').map(|v| v.split(',').collect::<Vec<_>>());
            assert_eq!(all(line).unwrap(), values.collect::<Vec<_>>(), "{line}");
        }
        for wrong in [
            "~LST({a,b},{1,2,3})",
            "~LST(a,{1,2},3)",
            "~LST(a)",
            "~LST()",
            "~LST(a, x y)",
            "~LST(a,${L})",
            "~LST(a,x${b},y)",
            "~LST(a,{1)",
            "~LST({a}b,1)",
            "~LST({},1)",
        ] {
            assert!(all(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn heads_elsewhere() {
        assert_eq!(misplaced("x1 ~SEQ(n,1,2) y"), Some(3..7));
        assert_eq!(misplaced("x1 ~SEQx (n,1,2) y"), Some(3..7));
        assert_eq!(misplaced("x ~LST(a,1)"), Some(2..6));
        assert_eq!(misplaced("x \"~LST(a,1)\""), None);
        assert_eq!(misplaced("x ~LST a"), None);
    }
}
