//! Whom programs run as, where they are, and whether somebody else could put another one in their place.
//!
//! Problem: a program that runs as root, in a folder where an ordinary user may write, makes that user root. keepalived
//! says of such a program only that it is insecure, so that people switch the warning off instead of mending the path.
//!
//! Rule: what runs as root must belong to root, with every folder on its path and on the path that symbolic links lead to,
//! and nobody else may write there. Which part does not, and why, is named. `lvsd check` and what runs programs both ask
//! here, so that they cannot disagree.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::keepalived::host::{Host, Stat};
use crate::keepalived::model::{Global, User};

/// Whom programs run as for which nobody is named, if the host has such a user.
const DEFAULT_USER: &str = "keepalived_script";

/// Folders that are searched for programs without a path, if the environment does not say.
const FOLDERS: &str = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin";

/// Where a program is.
pub(crate) fn locate(host: &dyn Host, program: &str) -> Option<(PathBuf, Stat)> {
    let there = |path: PathBuf| host.stat(&path).ok().map(|stat| (path, stat));
    if program.contains('/') {
        return there(PathBuf::from(program));
    }
    let folders = host
        .environment("PATH")
        .unwrap_or_else(|| FOLDERS.to_owned());
    folders
        .split(':')
        .filter(|f| !f.is_empty())
        .find_map(|f| there(Path::new(f).join(program)))
}

/// The numbers of the user and the group that a program runs as, for which this user is named, or nobody. `None`: the daemon's
/// own.
pub(crate) fn runs_as(
    host: &dyn Host,
    global: &Global,
    named: Option<&User>,
) -> Result<Option<(u32, u32)>, Unknown> {
    let default = global.script_user.as_ref().map(|u| &u.value);
    match named.or(default) {
        Some(user) => numbers(host, user).map(Some),
        None => match host.user(DEFAULT_USER) {
            None if global.script_security => Err(Unknown::Default),
            found => Ok(found),
        },
    }
}

/// The numbers of a user and its group, or the group that is named with it.
pub(crate) fn numbers(host: &dyn Host, user: &User) -> Result<(u32, u32), Unknown> {
    let is_root = |name: &str| matches!(name, "root" | "0");
    let root = is_root(&user.user).then_some((0, 0));
    let (uid, gid) = host
        .user(&user.user)
        .or(root)
        .ok_or_else(|| Unknown::User(user.user.clone()))?;
    let Some(name) = &user.group else {
        return Ok((uid, gid));
    };
    let group = host.group(name).or_else(|| is_root(name).then_some(0));
    let gid = group.ok_or_else(|| Unknown::Group(name.clone()))?;
    Ok((uid, gid))
}

/// A user or group that the host does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// A user that is named.
    User(String),
    /// A group that is named.
    Group(String),
    /// Nobody is named, the default user does not exist, and `enable_script_security` forbids to do without.
    Default,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "there is no user `{name}`"),
            Self::Group(name) => write!(f, "there is no group `{name}`"),
            Self::Default => write!(
                f,
                "there is neither a `script_user` nor a user `{DEFAULT_USER}`, and `enable_script_security` forbids to run it as root"
            ),
        }
    }
}

/// A part of a program's path that somebody else than root could change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weakness {
    /// The part, from the root.
    pub(crate) part: PathBuf,
    /// What about it.
    pub(crate) why: String,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.part.display(), self.why)
    }
}

/// What is weak about a path. Both the links' folders and where they lead to count, unless links are to be kept
/// (`use_symlink_paths`).
pub(crate) fn weakness(host: &dyn Host, path: &Path, keep_links: bool) -> Option<Weakness> {
    let real = match keep_links {
        true => None,
        false => host.canonical(path).ok(),
    };
    real.iter()
        .map(PathBuf::as_path)
        .chain([path])
        .find_map(|path| weak_part(host, path))
}

fn weak_part(host: &dyn Host, path: &Path) -> Option<Weakness> {
    let mut parts: Vec<&Path> = path
        .ancestors()
        .filter(|p| !p.as_os_str().is_empty())
        .collect();
    parts.reverse();
    parts.into_iter().find_map(|part| {
        let stat = host.stat(part).ok()?;
        // What is in a folder with the sticky bit can be changed by its owner only.
        let open = !(stat.folder && stat.mode & 0o1000 != 0);
        let mode = stat.mode & 0o777;
        let why = if stat.uid != 0 {
            format!("belongs to user {}", stat.uid)
        } else if open && stat.mode & 0o002 != 0 {
            format!("may be written by everybody (its mode is {mode:03o})")
        } else if open && stat.mode & 0o020 != 0 && stat.gid != 0 {
            format!(
                "may be written by group {} (its mode is {mode:03o})",
                stat.gid
            )
        } else {
            return None;
        };
        Some(Weakness {
            part: part.to_owned(),
            why,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keepalived::host::FakeHost;
    use crate::keepalived::model::At;
    use crate::keepalived::place::Span;

    fn user(user: &str, group: Option<&str>) -> User {
        User {
            user: user.to_owned(),
            group: group.map(str::to_owned),
            supplementary: false,
        }
    }

    #[test]
    fn whom_programs_run_as() {
        let host = FakeHost::default()
            .with_user("www", 33, 34)
            .with_group("adm", 4);
        let mut global = Global::default();
        let as_whom = |global: &Global, user: Option<&User>| runs_as(&host, global, user);
        assert_eq!(as_whom(&global, None), Ok(None));
        let www = user("www", None);
        assert_eq!(as_whom(&global, Some(&www)), Ok(Some((33, 34))));
        let group = user("33", Some("adm"));
        assert_eq!(as_whom(&global, Some(&group)), Ok(Some((33, 4))));
        let root = user("root", Some("0"));
        assert_eq!(as_whom(&global, Some(&root)), Ok(Some((0, 0))));
        let unknown = as_whom(&global, Some(&user("nobody", None)));
        assert_eq!(unknown, Err(Unknown::User("nobody".to_owned())));
        let unknown = as_whom(&global, Some(&user("www", Some("x"))));
        assert_eq!(unknown, Err(Unknown::Group("x".to_owned())));
        global.script_security = true;
        assert_eq!(as_whom(&global, None), Err(Unknown::Default));
        let default = host.clone().with_user(DEFAULT_USER, 990, 991);
        assert_eq!(runs_as(&default, &global, None), Ok(Some((990, 991))));
        global.script_user = Some(At::new(www, Span::default()));
        assert_eq!(as_whom(&global, None), Ok(Some((33, 34))));
        assert_eq!(as_whom(&global, Some(&root)), Ok(Some((0, 0))));
    }

    #[test]
    fn programs_are_found() {
        let host = FakeHost::default()
            .with_mode("/usr/bin/one", 0o755, 0, 0)
            .with_mode("/opt/two", 0o755, 0, 0);
        let found = |host: &FakeHost, name| locate(host, name).map(|(path, _)| path);
        assert_eq!(found(&host, "one"), Some("/usr/bin/one".into()));
        assert_eq!(found(&host, "two"), None);
        assert_eq!(found(&host, "/opt/two"), Some("/opt/two".into()));
        let host = host.with_environment("PATH", ":/opt");
        assert_eq!(found(&host, "two"), Some("/opt/two".into()));
        assert_eq!(found(&host, "one"), None);
    }

    #[test]
    fn what_somebody_else_could_change() {
        let host = FakeHost::default()
            .with_folder("/etc/keepalived")
            .with_mode("/etc/keepalived/sound", 0o775, 0, 0)
            .with_mode("/etc/keepalived/his", 0o755, 7, 0)
            .with_mode("/etc/keepalived/open", 0o757, 0, 0)
            .with_mode("/etc/keepalived/group", 0o775, 0, 8)
            .with_file("/home/u/script", "")
            .with_mode("/home/u", 0o755, 1000, 1000)
            .with_link("/etc/keepalived/link", "/home/u/script")
            .with_link("/home/u/back", "/etc/keepalived/sound")
            .with_file("/tmp/script", "")
            .with_mode("/tmp", 0o1777, 0, 0)
            .with_file("/var/open/script", "")
            .with_mode("/var/open", 0o777, 0, 0);
        let weak = |path: &str, keep_links| {
            weakness(&host, Path::new(path), keep_links).map(|w| w.to_string())
        };
        for (path, keeping, said) in [
            ("/etc/keepalived/sound", false, None),
            (
                "/etc/keepalived/his",
                false,
                Some("`/etc/keepalived/his` belongs to user 7"),
            ),
            (
                "/etc/keepalived/open",
                false,
                Some("`/etc/keepalived/open` may be written by everybody (its mode is 757)"),
            ),
            (
                "/etc/keepalived/group",
                false,
                Some("`/etc/keepalived/group` may be written by group 8 (its mode is 775)"),
            ),
            (
                "/etc/keepalived/link",
                false,
                Some("`/home/u` belongs to user 1000"),
            ),
            ("/etc/keepalived/link", true, None),
            (
                "/home/u/back",
                false,
                Some("`/home/u` belongs to user 1000"),
            ),
            ("/tmp/script", false, None),
            (
                "/var/open/script",
                false,
                Some("`/var/open` may be written by everybody (its mode is 777)"),
            ),
        ] {
            assert_eq!(weak(path, keeping).as_deref(), said, "{path}");
        }
    }
}
