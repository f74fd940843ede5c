//! The text format of OpenMetrics 1.0, as far as it is needed here.
//!
//! A *family* is a name with a type, a unit and a help text, and its samples. A sample has labels and a value. All of a family stands
//! together; so families are written one after the other, each over everything that it is about.

use std::fmt::{self, Write as _};

/// The media type.
pub(super) const MEDIA: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows.
    Counter,
    /// A state.
    Gauge,
    /// Texts, in the labels of a sample of value 1.
    Info,
    /// Cumulative counts by upper bound.
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Info => "info",
            Self::Histogram => "histogram",
        }
    }

    /// What the samples' name has behind the family's.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Gauge => "",
            Self::Info => "_info",
            Self::Histogram => "_bucket",
        }
    }
}

/// What a family is. A name that ends in a unit has that unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

/// A counter's family.
pub(super) const fn counter(name: &'static str, help: &'static str) -> Family {
    let kind = Kind::Counter;
    Family { name, kind, help }
}

/// A gauge's family.
pub(super) const fn gauge(name: &'static str, help: &'static str) -> Family {
    let kind = Kind::Gauge;
    Family { name, kind, help }
}

/// The units in use.
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// A sample's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Whole(n)
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Self {
        Self::Whole(n as u64)
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Self {
        Self::Whole(n.into())
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Whole(yes.into())
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Self {
        Self::Real(n)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(n) => n.fmt(f),
            Self::Real(n) if n.is_infinite() => f.write_str(if *n > 0.0 { "+Inf" } else { "-Inf" }),
            Self::Real(n) => n.fmt(f),
        }
    }
}

/// Labels as they are written, without braces: made once for everything that is about the same thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(String);

impl Labels {
    pub(super) fn new(labels: &[(&str, &str)]) -> Self {
        labels
            .iter()
            .fold(Self::default(), |all, (name, value)| all.with(name, value))
    }

    /// With one more.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut text = self.0.clone();
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
        Self(text)
    }
}

/// The text in the making.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// A family with its samples: labels, a further label if there is one, and the value.
    pub(super) fn family<'a, V: Into<Value>>(
        &mut self,
        family: Family,
        samples: impl IntoIterator<Item = (&'a Labels, Option<(&'a str, &'a str)>, V)>,
    ) {
        let Family { name, kind, help } = family;
        let text = &mut self.0;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# TYPE {name} {}", kind.name());
        let is_unit = |unit: &&&str| name.strip_suffix(**unit).is_some_and(|n| n.ends_with('_'));
        if let Some(unit) = UNITS.iter().find(is_unit) {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {help}");
        for (labels, more, value) in samples {
            text.push_str(name);
            text.push_str(kind.suffix());
            match more {
                Some((name, value)) => {
                    let _ = write!(text, "{{{}}}", labels.with(name, value).0);
                }
                None if labels.0.is_empty() => {}
                None => {
                    let _ = write!(text, "{{{}}}", labels.0);
                }
            }
            let _ = writeln!(text, " {}", value.into());
        }
    }

    /// A family of one sample without labels.
    pub(super) fn single(&mut self, family: Family, value: impl Into<Value>) {
        self.family(family, [(&Labels::default(), None, value)]);
    }

    /// The whole.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}
