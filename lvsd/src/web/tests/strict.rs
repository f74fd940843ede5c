//! A reader of OpenMetrics that takes nothing but what the standard allows, as far as types are used here.
//!
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>

use std::collections::{BTreeMap, HashSet};

/// Labels by name.
pub(super) type Labels = BTreeMap<String, String>;

#[derive(Clone, Debug, Default)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) unit: String,
    pub(super) help: String,
    /// In their order.
    pub(super) samples: Vec<(Labels, f64)>,
}

/// Reads a whole exposition.
pub(super) fn read(text: &str) -> Result<Vec<Family>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("no end")?;
    let mut families: Vec<Family> = Vec::new();
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("a line without end".to_owned());
    }
    for line in body.split_terminator('\n') {
        let wrong = |why: &str| format!("{why}: {line:?}");
        let Some(said) = line.strip_prefix("# ") else {
            let family = families
                .last_mut()
                .ok_or_else(|| wrong("a sample of nothing"))?;
            let sample = sample(line, family).map_err(|why| wrong(&why))?;
            family.samples.push(sample);
            continue;
        };
        let mut words = said.splitn(3, ' ');
        let (Some(what), Some(name), Some(value)) = (words.next(), words.next(), words.next())
        else {
            return Err(wrong("not three words"));
        };
        if families.last().is_none_or(|f| f.name != name) {
            if !is_name(name, true) || families.iter().any(|f| f.name == name) {
                return Err(wrong("no name, or one that was there"));
            }
            families.push(Family {
                name: name.to_owned(),
                ..Family::default()
            });
        }
        let family = families.last_mut().ok_or("none")?;
        if !family.samples.is_empty() {
            return Err(wrong("behind its samples"));
        }
        let place = match what {
            "TYPE" if ["counter", "gauge", "info", "histogram"].contains(&value) => {
                &mut family.kind
            }
            "UNIT" if name.ends_with(&format!("_{value}")) => &mut family.unit,
            "HELP" => &mut family.help,
            _ => return Err(wrong("not known")),
        };
        if !std::mem::replace(place, value.to_owned()).is_empty() {
            return Err(wrong("twice"));
        }
    }
    families.iter().try_for_each(whole)?;
    no_clash(&families)?;
    Ok(families)
}

/// What the samples of a family have behind its name.
fn suffix(kind: &str) -> &'static str {
    match kind {
        "counter" => "_total",
        "info" => "_info",
        "histogram" => "_bucket",
        _ => "",
    }
}

fn sample(line: &str, family: &Family) -> Result<(Labels, f64), String> {
    let rest = line
        .strip_prefix(&*family.name)
        .ok_or("of another family")?;
    let rest = rest
        .strip_prefix(suffix(&family.kind))
        .ok_or("without the suffix")?;
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    let value = rest.strip_prefix(' ').ok_or("no value")?;
    let is_number = |c: char| c.is_ascii_digit() || "+-.e".contains(c);
    if !["+Inf", "-Inf", "NaN"].contains(&value) && !value.chars().all(is_number) {
        return Err("no number".to_owned());
    }
    Ok((labels, value.parse().map_err(|_| "no number")?))
}

/// Labels up to their brace, and what is behind it.
fn labels(text: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    let mut rest = text;
    loop {
        let (name, more) = rest.split_once("=\"").ok_or("no label")?;
        if !is_name(name, false) {
            return Err(format!("{name:?} is no label"));
        }
        let mut value = String::new();
        let mut chars = more.char_indices();
        let end = loop {
            match chars.next().ok_or("no end of a label")? {
                (at, '"') => break at + 1,
                (_, '\n') => return Err("a line break in a label".to_owned()),
                (_, '\\') => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('\\' | '"'))) => value.push(c),
                    _ => return Err("nothing to escape".to_owned()),
                },
                (_, c) => value.push(c),
            }
        };
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} twice"));
        }
        rest = &more[end..];
        match rest.split_at_checked(1) {
            Some((",", more)) => rest = more,
            Some(("}", more)) => return Ok((labels, more)),
            _ => return Err("no end of labels".to_owned()),
        }
    }
}

fn is_name(name: &str, colon: bool) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || (colon && c == ':');
    name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

/// What must hold for a family as a whole.
fn whole(family: &Family) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{}: {why}", family.name));
    if family.kind.is_empty() || family.help.is_empty() {
        return wrong("no type or no help");
    }
    let mut seen = HashSet::new();
    if !family.samples.iter().all(|(labels, _)| seen.insert(labels)) {
        return wrong("the same labels twice");
    }
    let names = |labels: &Labels| labels.keys().cloned().collect::<Vec<_>>();
    if family
        .samples
        .windows(2)
        .any(|two| names(&two[0].0) != names(&two[1].0))
    {
        return wrong("other labels");
    }
    let values = || family.samples.iter().map(|(_, value)| *value);
    match &*family.kind {
        "info" if values().any(|v| v != 1.0) => wrong("an info that is not 1"),
        "counter" | "histogram" if values().any(|v| v.is_nan() || v < 0.0) => {
            wrong("less than none")
        }
        "histogram" => histogram(family),
        _ => Ok(()),
    }
}

fn histogram(family: &Family) -> Result<(), String> {
    let bounds = family.samples.iter().map(|(labels, n)| {
        let le = labels.get("le").ok_or("no bound")?;
        le.parse::<f64>().map(|le| (le, *n)).map_err(|_| "no bound")
    });
    let bounds: Vec<(f64, f64)> = bounds.collect::<Result<_, _>>()?;
    let grows = |two: &[(f64, f64)]| two[0].0 < two[1].0 && two[0].1 <= two[1].1;
    let ends = bounds.last().is_some_and(|(le, _)| le.is_infinite());
    match ends && bounds.windows(2).all(grows) {
        true => Ok(()),
        false => Err(format!("{}: not cumulative, or without end", family.name)),
    }
}

/// No family has a name that another one's samples have.
fn no_clash(families: &[Family]) -> Result<(), String> {
    let mut names = HashSet::new();
    for family in families {
        let mut own: Vec<String> = vec![family.name.clone()];
        let suffixes: &[&str] = match &*family.kind {
            "counter" => &["_total", "_created"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_count", "_sum", "_created"],
            _ => &[],
        };
        own.extend(
            suffixes
                .iter()
                .map(|suffix| format!("{}{suffix}", family.name)),
        );
        for name in own {
            if !names.insert(name.clone()) {
                return Err(format!("{name} is of two families"));
            }
        }
    }
    Ok(())
}

#[test]
fn it_is_strict() {
    let good =
        "# TYPE a counter\n# HELP a x\na_total{b=\"\\n\\\"\"} 1\na_total{b=\"c\"} 2\n# EOF\n";
    assert_eq!(read(good).unwrap()[0].samples.len(), 2);
    for (from, to) in [
        ("# EOF\n", ""),
        ("# EOF\n", "# EOF\n\n"),
        ("a_total{b=\"c\"}", "a{b=\"c\"}"),
        ("a_total{b=\"c\"} 2", "a_total{b=\"c\"} -2"),
        ("a_total{b=\"c\"} 2", "a_total{b=\"c\"}  2"),
        ("a_total{b=\"c\"} 2", "a_total{b=\"c\",b=\"d\"} 2"),
        ("a_total{b=\"c\"} 2", "a_total{c=\"c\"} 2"),
        ("a_total{b=\"c\"} 2", "a_total{b=\"\\n\\\"\"} 2"),
        ("a_total{b=\"c\"} 2", "a_total{b=\"c\"} inf"),
        ("\\n", "\\t"),
        ("# TYPE a counter", "# TYPE a count"),
        ("# HELP a x\n", ""),
        ("# HELP a x\n", "# HELP a x\n# UNIT a seconds\n"),
        ("# HELP a x\n", "# HELP a x\n# HELP a y\n"),
        ("# EOF", "# TYPE a_total gauge\n# HELP a_total x\n# EOF"),
        ("# EOF", "# TYPE b gauge\n# HELP b x\n# TYPE a gauge\n# EOF"),
    ] {
        assert!(read(&good.replacen(from, to, 1)).is_err(), "{to}");
    }
}
