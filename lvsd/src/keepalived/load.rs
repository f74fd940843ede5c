//! All stages, one after the other.

use std::collections::HashSet;
use std::path::Path;

use super::diagnostic::{Diagnostic, Severity};
use super::host::Host;
use super::model::{Config, VirtualServer};
use super::place::{Files, Span};
use super::{build, lint, source, tree};

/// How a configuration is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// What lines that begin with `@ID` are compared with; `None`: the host's name up to its first dot.
    pub config_id: Option<String>,
    /// Every include must find something (keepalived's `--all-config`).
    pub include_check: bool,
    /// What keepalived itself goes on with is a warning, not an error (`--keepalived-compat`).
    pub compat: bool,
}

/// A configuration as it was read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// What it says. Counts only if nothing is an error.
    pub config: Config,
    /// What it was read from.
    pub files: Files,
    /// Everything that is wrong with it, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Whether nothing may run with it.
    pub fn is_refused(&self) -> bool {
        let mut all = self.diagnostics.iter();
        all.any(|d| d.severity == Severity::Error)
    }
}

/// Reads a configuration, and finds everything that is wrong with it.
pub fn load(path: &Path, options: &Options, host: &dyn Host) -> Loaded {
    let config_id = options.config_id.clone().unwrap_or_else(|| {
        let name = host.name();
        name.split('.').next().unwrap_or_default().to_owned()
    });
    let include_check = match options.include_check {
        true => source::IncludeCheck::ALL,
        false => source::IncludeCheck::default(),
    };
    let reading = source::Options {
        config_id,
        include_check,
    };
    let read = source::read(path, &reading, host);
    let (root, in_tree) = tree::parse(&read);
    let (mut config, in_model) = build::build(&root.body, host);
    let mut diagnostics = read.diagnostics;
    diagnostics.extend(in_tree);
    diagnostics.extend(in_model);
    diagnostics.extend(lint::lint(&config, host));
    if options.compat {
        for diagnostic in diagnostics.iter_mut().filter(|d| d.tolerated) {
            diagnostic.severity = Severity::Warning;
        }
    }
    // Refused, unless that is only warned of: then the first counts, as for IPVS.
    let mut seen = HashSet::new();
    let is_first = |s: &VirtualServer| s.keys.iter().all(|key| seen.insert(*key));
    config.services.retain(is_first);
    diagnostics.sort_by_key(|d| d.span);
    // What a repetition or a parameter's value makes several times is one mistake.
    let mut said: HashSet<(&str, Span, String)> = HashSet::new();
    diagnostics.retain(|d| said.insert((d.code, d.span, d.message.clone())));
    Loaded {
        config,
        files: read.files,
        diagnostics,
    }
}
