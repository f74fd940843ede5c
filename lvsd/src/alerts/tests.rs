//! Scripts that run, pipes that are read, all of it together. Mails have tests of their own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::*;
use crate::keepalived::model::{At, Fifo, User};
use crate::keepalived::place::Span;

/// What all tests have logged.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(super) fn log(line: &str) {
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    logged.push(line.to_owned());
}

/// Lines with this in them.
pub(super) fn logged(what: &str) -> Vec<String> {
    let logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    logged
        .iter()
        .filter(|l| l.contains(what))
        .cloned()
        .collect()
}

/// Waits until it is so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        let late = begin.elapsed() > Duration::from_secs(60);
        assert!(!late, "{what}; {:#?}", logged(""));
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a process of ours runs: one that has ended is a zombie until somebody waits for it.
pub(super) fn runs(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("lvsd-alerts-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A script that runs in this folder.
    fn script(&self, name: &str, text: &str) -> Command {
        let path = self.path(name);
        let text = format!("#!/bin/sh\ncd {}\n{text}\n", self.0.display());
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.command(&[path.to_str().unwrap()])
    }

    fn command(&self, argv: &[&str]) -> Command {
        Command {
            argv: argv.iter().map(|a| (*a).to_owned()).collect(),
            user: None,
            span: At::new((), Span::default()),
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A pipe for events here.
    fn fifo(&self, name: &str, reader: Option<Command>) -> Option<Fifo> {
        Some(Fifo {
            path: self.path(name),
            user: None,
            reader,
        })
    }

    fn logged(&self) -> Vec<String> {
        logged(self.0.to_str().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(about: &str, command: &Command, environment: &[(&'static str, &str)]) -> Alert {
    let environment = environment.iter().map(|(k, v)| (*k, (*v).to_owned()));
    Alert {
        about: about.to_owned(),
        script: Some(Script {
            command: command.clone(),
            environment: environment.collect(),
        }),
        line: None,
        mail: None,
    }
}

fn line(text: &str) -> Alert {
    Alert {
        about: String::new(),
        script: None,
        line: Some(Line {
            kind: LineKind::Services,
            text: text.to_owned(),
        }),
        mail: None,
    }
}

fn is_fifo(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_fifo())
}

fn is_root() -> bool {
    sys::ourselves().0 == 0
}

#[test]
fn scripts_about_one_thing_run_in_order() {
    let folder = Folder::new();
    // Without order the first would be the last to write.
    let mut script = folder.script(
        "tell",
        "[ $2 = 0 ] && sleep 0.3; echo \"$1 $2 $LVSD_EVENT\" >> told",
    );
    let mut alerts = Alerts::start(&Global::default(), log).unwrap();
    for i in 0..5 {
        script.argv.truncate(1);
        script.argv.extend(["a b".to_owned(), i.to_string()]);
        alerts.tell(run("rs", &script, &[("LVSD_EVENT", "up\0\nx")]));
    }
    until("all are told", || folder.read("told").lines().count() == 10);
    let wanted: String = (0..5).map(|i| format!("a b {i} up\nx\n")).collect();
    assert_eq!(folder.read("told"), wanted);
    assert_eq!(folder.logged(), [""; 0]);
}

#[test]
fn scripts_about_different_things_run_side_by_side() {
    let folder = Folder::new();
    let text = "touch $1; while [ ! -e $2 ]; do sleep 0.01; done; echo $1 >> told";
    let mut script = folder.script("tell", text);
    let mut alerts = Alerts::start(&Global::default(), log).unwrap();
    for (one, other) in [("a", "b"), ("b", "a")] {
        script.argv.truncate(1);
        script.argv.extend([one.to_owned(), other.to_owned()]);
        alerts.tell(run(one, &script, &[]));
    }
    until("both have met", || folder.read("told").lines().count() == 2);
}

#[test]
fn what_a_script_leaves_in_the_background_may_go_on_talking() {
    let folder = Folder::new();
    let later = "(while [ ! -e go ]; do sleep 0.01; done; echo x; echo alive >> told) &";
    let script = folder.script("leave", later);
    let after = folder.script("after", "touch go");
    let mut alerts = Alerts::start(&Global::default(), log).unwrap();
    alerts.tell(run("rs", &script, &[]));
    alerts.tell(run("rs", &after, &[]));
    until("it was not killed", || folder.read("told") == "alive\n");
}

#[test]
fn what_went_wrong_is_logged() {
    let folder = Folder::new();
    let mut alerts = Alerts::start(&Global::default(), log).unwrap();
    let sorry = folder.script("sorry", "echo '\x1b[31mno'; exit 7");
    alerts.tell(run("rs 1", &sorry, &[]));
    alerts.tell(run(
        "rs 2",
        &folder.command(&[folder.path("none").to_str().unwrap()]),
        &[],
    ));
    fs::write(folder.path("text"), "echo").unwrap();
    fs::set_permissions(folder.path("text"), fs::Permissions::from_mode(0o755)).unwrap();
    alerts.tell(run(
        "rs 3",
        &folder.command(&[folder.path("text").to_str().unwrap()]),
        &[],
    ));
    let odd = folder.script("odd", "");
    fs::write(folder.path("odd"), "#!/no/such/shell\n").unwrap();
    alerts.tell(run("rs 4", &odd, &[]));
    until("all four", || folder.logged().len() == 4);
    let path = folder.0.display();
    let one = |about: &str| {
        let of = folder.logged();
        of.into_iter()
            .find(|l| l.contains(about))
            .unwrap_or_default()
    };
    assert_eq!(
        one("rs 1"),
        format!(r"script `{path}/sorry` about rs 1 failed: status 7: \u{{1b}}[31mno")
    );
    assert_eq!(
        one("rs 2"),
        format!("script `{path}/none` about rs 2 is not run: there is no such program")
    );
    assert!(one("rs 3").ends_with("a script begins with a line such as `#!/bin/sh`"));
    assert!(one("rs 4").ends_with("what its first line names is not there"));
}

#[test]
fn insecure_scripts_are_warned_of_once_or_refused() {
    if !is_root() {
        return; // who is not root runs nothing as root
    }
    let folder = Folder::new();
    let script = folder.script("open", "echo ran >> told");
    fs::set_permissions(folder.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    let root = |security| Global {
        script_user: Some(At::new(
            User {
                user: "root".to_owned(),
                group: None,
                supplementary: false,
            },
            Span::default(),
        )),
        script_security: security,
        ..Global::default()
    };
    let mut alerts = Alerts::start(&root(false), log).unwrap();
    alerts.tell(run("rs", &script, &[]));
    alerts.tell(run("rs", &script, &[]));
    until("both ran", || folder.read("told").lines().count() == 2);
    let open = folder.path("open");
    let weak = format!(
        "`{}` may be written by everybody (its mode is 777)",
        open.display()
    );
    let warned = format!("script `{}` runs as root, and {weak}", open.display());
    assert_eq!(folder.logged(), std::slice::from_ref(&warned));
    alerts.configure(&root(true));
    alerts.tell(run("rs", &script, &[]));
    until("it is refused", || folder.logged().len() == 2);
    let refused = format!(
        "script `{}` about rs is not run: it would run as root, and {weak}: `enable_script_security` forbids it",
        open.display()
    );
    assert_eq!(folder.logged(), [warned, refused]);
    assert_eq!(folder.read("told").lines().count(), 2);
}

#[test]
fn scripts_run_as_whom_they_should() {
    if !is_root() {
        return; // only root can become somebody else
    }
    let folder = Folder::new();
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o777)).unwrap();
    let mut script = folder.script("who", "echo $(id -u) $(id -g) $(id -G) >> $1");
    let mut alerts = Alerts::start(&Global::default(), log).unwrap();
    for (file, user, group, supplementary, said) in [
        ("one", "65534", None, false, "65534 65534 65534\n"),
        ("two", "65534", Some("7"), false, "65534 7 7\n"),
        ("three", "65534", Some("7"), true, "65534 7 7\n"),
        ("four", "0", None, false, ""),
    ] {
        script.argv = vec![script.argv[0].clone(), file.to_owned()];
        script.user = Some(User {
            user: user.to_owned(),
            group: group.map(str::to_owned),
            supplementary,
        });
        alerts.tell(run(file, &script, &[]));
        until(file, || folder.read(file).ends_with('\n'));
        if !said.is_empty() {
            assert_eq!(folder.read(file), said);
        }
    }
    assert!(folder.read("four").starts_with("0 0 "));
}

#[test]
fn in_the_end_what_waits_is_still_run_and_what_hangs_is_ended() {
    let folder = Folder::new();
    let quick = folder.script("quick", "sleep 0.05; echo told >> told");
    let hung = folder.script("hung", "echo $$ > hung.pid; sleep 1000");
    let mut alerts = Alerts::start(&Global::default(), log).unwrap();
    alerts.tell(run("hung", &hung, &[]));
    until("it hangs", || folder.read("hung.pid").ends_with('\n'));
    for _ in 0..3 {
        alerts.tell(run("quick", &quick, &[]));
    }
    alerts.stop();
    assert_eq!(folder.read("told").lines().count(), 3);
    let said = folder.logged();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("hung` about hung failed: it still ran after"),
        "{said:?}"
    );
    assert!(!runs(folder.read("hung.pid").trim()));
    // Afterwards nothing more is told, and nobody waits.
    alerts.tell(run("quick", &quick, &[]));
    drop(alerts);
    assert_eq!(folder.read("told").lines().count(), 3);
}

#[test]
fn lines_go_into_the_pipes_of_their_kind() {
    let folder = Folder::new();
    let global = Global {
        fifo: folder.fifo("all", None),
        lvs_fifo: folder.fifo("lvs", None),
        vrrp_fifo: folder.fifo("vrrp", None),
        ..Global::default()
    };
    let mut alerts = Alerts::start(&global, log).unwrap();
    let of_router = Alert {
        line: Some(Line {
            kind: LineKind::Vrrp,
            text: "INSTANCE \"a\" MASTER 100".to_owned(),
        }),
        ..line("")
    };
    let pipes = [
        (
            "all",
            "RS a b UP\nINSTANCE \"a\" MASTER 100\nVS b | UP\\u{0}\n",
        ),
        ("lvs", "RS a b UP\nVS b | UP\\u{0}\n"),
        ("vrrp", "INSTANCE \"a\" MASTER 100\n"),
    ];
    for (name, _) in pipes {
        until("it is made", || is_fifo(&folder.path(name)));
    }
    alerts.tell(line("RS a b UP"));
    alerts.tell(of_router);
    alerts.tell(line("VS b\nUP\0"));
    for (name, wanted) in pipes {
        let path = folder.path(name);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o644);
        let mut lines = BufReader::new(File::open(path).unwrap());
        let mut got = String::new();
        for _ in wanted.lines() {
            lines.read_line(&mut got).unwrap();
        }
        assert_eq!(got, wanted, "{name}");
    }
    alerts.stop();
    assert!(
        !pipes.iter().any(|(name, _)| folder.path(name).exists()),
        "who made them removes them"
    );
    assert_eq!(folder.logged(), [""; 0]);
}

#[test]
fn a_reader_gets_the_lines_and_the_end() {
    let folder = Folder::new();
    // Its first life is short.
    let text = "[ -e once ] || { touch once; exit 3; }; trap 'echo TERM >> got; exit' TERM; while read line; do echo \"$line\" >> got; done < $2; echo end >> got";
    let mut reader = folder.script("reader", text);
    reader.argv.push("x".to_owned());
    let global = Global {
        fifo: folder.fifo("pipe", Some(reader)),
        ..Global::default()
    };
    let mut alerts = Alerts::start(&global, log).unwrap();
    alerts.tell(line("one"));
    alerts.tell(line("two"));
    until("it reads", || folder.read("got") == "one\ntwo\n");
    let said = folder.logged();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].ends_with("has ended (status 3); it is started again in 1 s"),
        "{said:?}"
    );
    alerts.tell(line("three"));
    alerts.stop();
    assert_eq!(folder.read("got"), "one\ntwo\nthree\nend\n");
    assert_eq!(folder.logged().len(), 1);
}

#[test]
fn another_configuration_takes_over() {
    let folder = Folder::new();
    let stays = "while read line; do echo \"$line\" >> got; done < $1; echo end >> got";
    let stays = folder.script("stays", stays);
    let goes = folder.script(
        "goes",
        "echo $$ >> pids; cat $1 > went; echo end >> went; exec sleep 1000",
    );
    let mut global = Global {
        fifo: folder.fifo("stays.pipe", Some(stays)),
        lvs_fifo: folder.fifo("goes.pipe", Some(goes.clone())),
        ..Global::default()
    };
    let mut alerts = Alerts::start(&global, log).unwrap();
    alerts.tell(line("one"));
    until("both read", || {
        folder.read("got") + &folder.read("went") == "one\none\n"
    });
    global.lvs_fifo = folder.fifo("new.pipe", None);
    alerts.configure(&global);
    until("the new pipe", || is_fifo(&folder.path("new.pipe")));
    until("the old reader's end", || {
        folder.read("went") == "one\nend\n"
    });
    assert!(!folder.path("goes.pipe").exists());
    let first = folder.read("pids");
    until("it is ended", || !runs(first.trim()));
    alerts.tell(line("two"));
    until("the other has not noticed", || {
        folder.read("got") == "one\ntwo\n"
    });
    // Another reader for a pipe that stays.
    global.fifo = folder.fifo("stays.pipe", Some(goes));
    alerts.configure(&global);
    until("the first ends", || !folder.read("went").contains("end"));
    alerts.tell(line("three"));
    until("the second reads", || folder.read("went") == "three\n");
    alerts.stop();
    assert_eq!(folder.read("went"), "three\nend\n");
    assert_eq!(folder.logged(), [""; 0]);
}

#[test]
fn before_everything_and_after() {
    let folder = Folder::new();
    let mut global = Global::default();
    Alerts::startup(&global, log);
    global.startup = Some((folder.script("up", "echo up >> told"), 60));
    global.shutdown = Some((
        folder.script("down", "echo down >> told; echo no; exit 1"),
        60,
    ));
    Alerts::startup(&global, log);
    assert_eq!(folder.read("told"), "up\n");
    assert_eq!(folder.logged(), [""; 0]);
    Alerts::shutdown(&global, log);
    assert_eq!(folder.read("told"), "up\ndown\n");
    global.startup = Some((folder.script("slow", "sleep 1000"), 0));
    Alerts::startup(&global, log);
    global.startup = Some((
        folder.command(&[&format!("{}/none", folder.0.display())]),
        0,
    ));
    Alerts::startup(&global, log);
    let said = folder.logged();
    let ends = [
        "failed: status 1: no",
        ", and was ended",
        "is not run: there is no such program",
    ];
    assert_eq!(said.len(), ends.len(), "{said:?}");
    for (said, end) in said.iter().zip(ends) {
        assert!(said.ends_with(end), "{said}");
    }
}
