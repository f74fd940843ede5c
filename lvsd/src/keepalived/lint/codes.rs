//! The codes of all stages, each with a sentence: for documents, and for whoever asks what one means.

use super::lints;

/// A kind of diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Its name, which does not change.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
}

/// All of them, by name.
pub fn codes() -> Vec<Code> {
    let of_lints = lints().map(|lint| Code {
        name: lint.code,
        about: lint.about,
    });
    let mut all: Vec<Code> = of_lints.collect();
    all.extend(STAGES.iter().map(|(name, about)| Code { name, about }));
    all.sort_by_key(|code| code.name);
    all
}

/// The codes of the stages before.
const STAGES: &[(&str, &str)] = &[];
