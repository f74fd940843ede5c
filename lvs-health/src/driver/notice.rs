//! What people should know about the driver itself.

use std::collections::VecDeque;
use std::fmt;

/// Something about the driver itself, said once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// As many probes as may be are under way, and more checks are due: they wait, and are late.
    CrowdedProbes {
        /// How many may be.
        limit: usize,
    },
    /// The same of scripts.
    CrowdedScripts {
        /// How many may run.
        limit: usize,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CrowdedProbes { limit } => write!(
                f,
                "{limit} checks are under way at once, which is all that the limit of open descriptors allows: \
                 others are late (raise LimitNOFILE, shorten timeouts or lengthen intervals)"
            ),
            Self::CrowdedScripts { limit } => write!(
                f,
                "{limit} check scripts run at once, which is all that may: others are late"
            ),
        }
    }
}

/// Those not taken yet, and which there have been.
#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: VecDeque<Notice>,
    probes: bool,
    scripts: bool,
}

impl Notices {
    pub(super) fn crowded_probes(&mut self, limit: usize) {
        if !std::mem::replace(&mut self.probes, true) {
            self.waiting.push_back(Notice::CrowdedProbes { limit });
        }
    }

    pub(super) fn crowded_scripts(&mut self, limit: usize) {
        if !std::mem::replace(&mut self.scripts, true) {
            self.waiting.push_back(Notice::CrowdedScripts { limit });
        }
    }

    pub(super) fn take(&mut self) -> Option<Notice> {
        self.waiting.pop_front()
    }
}
