//! From a command of the configuration to what is started: where the program is, whom it runs as, and whether it may.
//!
//! No shell is involved: the program gets its arguments as they are written. Its environment is ours without what would change
//! how a shell reads a script or what a program loads.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use super::security::{self, Unknown, Weakness};
use super::sys;
use crate::keepalived::host::Host;
use crate::keepalived::model::{self, Global};

/// What an environment must not bring along.
const UNWANTED: [&str; 3] = ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"];

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    path: PathBuf,
    /// The first is the program's name as it is written.
    argv: Vec<String>,
    /// Whom it runs as, unless as we do.
    identity: Option<Identity>,
    /// What somebody else could change about it, although it runs as root.
    pub(super) weakness: Option<Weakness>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    user: u32,
    group: u32,
    /// All groups.
    groups: Vec<u32>,
}

impl Program {
    /// What a command means on this host, for a daemon of this user and group.
    pub(super) fn new(
        host: &dyn Host,
        global: &Global,
        command: &model::Command,
        ours: (u32, u32),
    ) -> Result<Self, Refusal> {
        let name = command.argv.first().map_or("", String::as_str);
        let named = command.user.as_ref();
        let chosen = named.or_else(|| global.script_user.as_ref().map(|u| &u.value));
        let ids = match chosen {
            // Whoever is not root cannot become somebody else, and need not.
            None if ours.0 != 0 => ours,
            _ => security::runs_as(host, global, named)?.unwrap_or(ours),
        };
        let (path, _) = security::locate(host, name).ok_or(Refusal::Missing)?;
        let weakness = match ids.0 {
            0 => security::weakness(host, &path, global.symlink_paths),
            _ => None,
        };
        if let Some(weakness) = weakness.clone().filter(|_| global.script_security) {
            return Err(Refusal::Insecure(weakness));
        }
        let real = match global.symlink_paths {
            true => None,
            false => host.canonical(&path).ok(),
        };
        let all_groups = global.supplementary_groups || chosen.is_some_and(|u| u.supplementary);
        Ok(Self {
            path: real.unwrap_or(path),
            argv: command.argv.clone(),
            identity: (ids != ours).then(|| Identity::new(ids, all_groups)),
            weakness,
        })
    }

    /// Ready to be started, but for where its output goes.
    pub(super) fn command(&self) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(&self.path);
        if let Some((name, arguments)) = self.argv.split_first() {
            command.arg0(name).args(arguments);
        }
        for name in UNWANTED {
            command.env_remove(name);
        }
        if let Some(identity) = &self.identity {
            let ids = (identity.user, identity.group);
            sys::run_as(&mut command, ids, identity.groups.clone());
        }
        command
    }

    /// Why it could not be started, for people who did not read the manual of the system call.
    pub(super) fn explained(&self, e: &std::io::Error) -> String {
        match e.raw_os_error() {
            Some(libc::EPERM) if self.identity.is_some() => {
                format!("{e}: to run it as another user takes CAP_SETUID and CAP_SETGID")
            }
            Some(libc::ENOENT) => format!("{e}: what its first line names is not there"),
            Some(libc::ENOEXEC) => {
                format!("{e}: a script begins with a line such as `#!/bin/sh`")
            }
            _ => e.to_string(),
        }
    }
}

impl Identity {
    fn new((user, group): (u32, u32), all_groups: bool) -> Self {
        let name = sys::user_name(user).filter(|_| all_groups);
        let groups = name.and_then(|name| sys::groups(&name, group));
        Self {
            user,
            group,
            groups: groups.unwrap_or_default(),
        }
    }
}

/// Why a program is not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not there.
    Missing,
    /// It should run as a user that is not there.
    Unknown(Unknown),
    /// It would run as root, and somebody else could change it.
    Insecure(Weakness),
}

impl From<Unknown> for Refusal {
    fn from(unknown: Unknown) -> Self {
        Self::Unknown(unknown)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such program"),
            Self::Unknown(unknown) => unknown.fmt(f),
            Self::Insecure(weakness) => write!(
                f,
                "it would run as root, and {weakness}: `enable_script_security` forbids it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keepalived::host::FakeHost;
    use crate::keepalived::model::{At, User};
    use crate::keepalived::place::Span;

    const ROOT: (u32, u32) = (0, 0);

    fn host() -> FakeHost {
        FakeHost::default()
            .with_mode("/usr/bin/tell", 0o755, 0, 0)
            .with_mode("/home/u/tell", 0o755, 1000, 1000)
            .with_link("/etc/tell", "/usr/bin/tell")
            .with_link("/etc/his", "/home/u/tell")
            .with_user("u", 1000, 1000)
    }

    fn command(program: &str, user: Option<&str>) -> model::Command {
        model::Command {
            argv: vec![program.to_owned(), "a b".to_owned()],
            user: user.map(|user| User {
                user: user.to_owned(),
                group: None,
                supplementary: false,
            }),
            span: At::new((), Span::default()),
        }
    }

    fn program(global: &Global, program: &str, user: Option<&str>) -> Result<Program, Refusal> {
        Program::new(&host(), global, &command(program, user), ROOT)
    }

    #[test]
    fn links_are_followed_unless_they_are_to_be_kept() {
        let mut global = Global::default();
        let found = program(&global, "/etc/tell", None).unwrap();
        assert_eq!(found.path, PathBuf::from("/usr/bin/tell"));
        assert_eq!(found.argv, ["/etc/tell", "a b"]);
        global.symlink_paths = true;
        let found = program(&global, "/etc/tell", None).unwrap();
        assert_eq!(found.path, PathBuf::from("/etc/tell"));
        assert_eq!(program(&global, "/none", None), Err(Refusal::Missing));
        assert_eq!(program(&global, "tell", None).unwrap().weakness, None);
    }

    #[test]
    fn what_others_could_change_is_named_or_refused() {
        let mut global = Global::default();
        let weak = program(&global, "/etc/his", None).unwrap().weakness;
        assert_eq!(
            weak.unwrap().to_string(),
            "`/home/u/tell` belongs to user 1000"
        );
        let his = program(&global, "/etc/his", Some("u")).unwrap();
        assert_eq!(his.weakness, None, "he may do what he likes as himself");
        global.script_security = true;
        let refused = program(&global, "/etc/his", Some("root")).unwrap_err();
        let said = "it would run as root, and `/home/u/tell` belongs to user 1000: `enable_script_security` forbids it";
        assert_eq!(refused.to_string(), said);
        assert!(program(&global, "/etc/his", Some("u")).is_ok());
        assert!(program(&global, "/etc/tell", Some("root")).is_ok());
        let refused = program(&global, "/etc/tell", None).unwrap_err();
        assert_eq!(refused, Refusal::Unknown(Unknown::Default));
    }

    #[test]
    fn what_could_change_a_script_is_not_inherited() {
        let found = program(&Global::default(), "/etc/tell", None).unwrap();
        let command = found.command();
        let mut without: Vec<_> = command.get_envs().collect();
        without.sort();
        let unwanted = ["IFS", "LD_LIBRARY_PATH", "LD_PRELOAD"];
        let wanted: Vec<_> = unwanted.iter().map(|name| (name.as_ref(), None)).collect();
        assert_eq!(without, wanted);
        assert_eq!(command.get_program(), "/usr/bin/tell");
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["a b"]);
    }

    #[test]
    fn whom_it_runs_as() {
        let mut global = Global::default();
        assert_eq!(program(&global, "tell", None).unwrap().identity, None);
        let u = Identity {
            user: 1000,
            group: 1000,
            groups: Vec::new(),
        };
        let found = program(&global, "tell", Some("u")).unwrap();
        assert_eq!(found.identity, Some(u.clone()));
        let refused = program(&global, "tell", Some("x")).unwrap_err();
        assert_eq!(refused.to_string(), "there is no user `x`");
        // Nobody is named, and there is a user for that: but only root can become him.
        let host = host().with_user("keepalived_script", 1000, 1000);
        let nobody = command("tell", None);
        let as_root = Program::new(&host, &global, &nobody, ROOT).unwrap();
        assert_eq!(as_root.identity, Some(u.clone()));
        global.script_security = true;
        let as_other = Program::new(&host, &global, &nobody, (7, 7)).unwrap();
        assert_eq!(as_other.identity, None);
    }
}
