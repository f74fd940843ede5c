//! Why a command is refused, as ipvsadm says it.

use std::fmt;

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandError {
    /// ipvsadm's exit status: 2 for a wrong value or combination, 255 for a line that is no command or that the kernel
    /// would refuse.
    pub exit: u8,
    /// What ipvsadm says, without its name before it.
    pub message: String,
    /// Whether the message is ipvsadm's hint to its help, which names the program as it was called: see [`said`](Self::said).
    pub hint: bool,
    /// The offending word's place in the command, from 0; `None` if something is missing.
    pub word: Option<usize>,
}

impl CommandError {
    /// A refusal with an exit status of its own.
    pub fn new(exit: u8, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: false,
            word: None,
        }
    }

    /// A refusal of a wrong value or combination.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    /// The refusal of a line that is no command, or of one that has no place where it stands.
    pub fn no_command() -> Self {
        Self {
            hint: true,
            word: Some(0),
            ..Self::new(255, hint("ipvsadm"))
        }
    }

    /// The same, with the offending word's place.
    pub(super) fn at(self, word: usize) -> Self {
        Self {
            word: Some(word),
            ..self
        }
    }

    /// What a program that was called by this name says.
    pub fn said(&self, program: &str) -> String {
        match self.hint {
            true => hint(program),
            false => self.message.clone(),
        }
    }
}

fn hint(program: &str) -> String {
    format!("Try `{program} -h' or '{program} --help' for more information.")
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}
