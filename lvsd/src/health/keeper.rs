//! The configuration in force, and how another one takes its place.
//!
//! Problem: a reload with a bad file must not harm what runs, whoever asks for it must learn what is wrong, and one that does nothing
//! must change nothing.
//!
//! Rule: a file is read, checked and compared before anything is touched, and taken whole or not at all. Reloads wait for each
//! other.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::difference::{self, Change};
use super::status::{Configuration, Status};
use super::{Health, Silent};
use crate::arguments::counted;
use crate::keepalived::diagnostic::{self, Report};
use crate::keepalived::model::Config;
use crate::keepalived::{Loaded, Options, SystemHost, load};
use crate::vrrp::Vrrp;

/// Keeps a configuration and what runs by it.
#[derive(Debug)]
pub struct Keeper {
    /// Before checks: who steps down tells so, and the checks' end is the end of telling.
    vrrp: Vrrp,
    health: Health,
    source: Source,
    kept: Mutex<Kept>,
}

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// How it is read.
    pub options: Options,
}

#[derive(Debug)]
struct Kept {
    config: Config,
    read_at: u64,
    reloads: u64,
    refusals: u64,
    refused: Option<String>,
}

/// What has become of a reload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reload {
    /// Whether the configuration is, or would be, taken.
    pub taken: bool,
    /// Why not; what is wrong with the file is in `diagnostics`.
    pub refused: Option<String>,
    /// What is wrong with the file, as text.
    pub diagnostics: String,
    /// How many errors there are.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
    /// What it changes.
    pub changes: Vec<Change>,
}

impl Source {
    /// Reads it.
    pub fn load(&self) -> Loaded {
        load(&self.path, &self.options, &SystemHost)
    }
}

impl Keeper {
    /// Keeps what these run by already, and what was read from there.
    pub(crate) fn new(health: Health, vrrp: Vrrp, source: Source, config: Config) -> Self {
        let kept = Kept {
            config,
            read_at: now(),
            reloads: 0,
            refusals: 0,
            refused: None,
        };
        Self {
            vrrp,
            health,
            source,
            kept: Mutex::new(kept),
        }
    }

    /// Reads the configuration anew, and takes it, or only says what that would do.
    pub fn reload(&self, rehearse: bool) -> Reload {
        let mut kept = self.lock();
        let loaded = self.source.load();
        let report = Report::new(&loaded.diagnostics, &loaded.files);
        let mut reload = Reload {
            taken: false,
            refused: None,
            diagnostics: diagnostic::render(&loaded.diagnostics, &loaded.files, false),
            errors: report.errors,
            warnings: report.warnings,
            changes: Vec::new(),
        };
        if loaded.is_refused() {
            reload.refused = Some(format!(
                "{} in the configuration",
                counted(report.errors, "error")
            ));
        } else {
            reload.changes = difference::between(&kept.config, &loaded.config);
            if !rehearse {
                self.vrrp.expect(Some(&loaded.config));
            }
            let done = self.health.reload(loaded.config.clone(), rehearse);
            reload.taken = done.is_ok();
            if !rehearse && !reload.taken {
                self.vrrp.expect(None);
            }
            match done {
                Ok(0) => {}
                Ok(missing) => reload.changes.push(difference::restored(missing)),
                Err(why) => reload.refused = Some(why),
            }
        }
        if !rehearse {
            kept.refused.clone_from(&reload.refused);
            kept.refusals += u64::from(reload.refused.is_some());
            if reload.taken {
                self.vrrp.reload(&loaded.config);
                kept.config = loaded.config;
                kept.read_at = now();
                kept.reloads += 1;
            }
        }
        reload
    }

    /// How everything is.
    ///
    /// # Errors
    ///
    /// The thread that runs checks, or the one that speaks VRRP, does not answer.
    pub fn status(&self) -> Result<Status, Silent> {
        Ok(Status {
            configuration: self.configuration(),
            vrrp: self.vrrp.status()?,
            ..self.health.status()?
        })
    }

    /// The configuration in force.
    pub(crate) fn configuration(&self) -> Configuration {
        let kept = self.lock();
        Configuration {
            file: self.source.path.clone(),
            read_at: kept.read_at,
            reloads: kept.reloads,
            refusals: kept.refusals,
            refused: kept.refused.clone(),
        }
    }

    /// How everything in it is.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// The virtual routers.
    pub(crate) fn vrrp(&self) -> &Vrrp {
        &self.vrrp
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| d.as_secs())
}
