//! Scripts that are watched.
//!
//! Whom a script runs as, and whether it may be run at all, is settled when it is configured, as for notify scripts. One that may
//! not, or cannot be started, fails each time, and the log says why.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use lvs_vrrp::Time;
use lvs_vrrp::config::Object;
use lvs_vrrp::status::ObjectState;
use lvs_vrrp::track::{Action, Script, ScriptRules};
use mio::{Registry, Token};

use super::board::{Board, Detail, LastRun};
use super::run::Run;
use crate::alerts::security;
use crate::keepalived::host::SystemHost;
use crate::keepalived::model::{Command, Global, TrackScript};

/// All scripts.
#[derive(Debug)]
pub(super) struct Scripts {
    list: Vec<Entry>,
    /// The next one's token.
    token: usize,
}

/// A script.
#[derive(Debug)]
struct Entry {
    object: Object,
    /// What is run, and how that was decided.
    command: Command,
    program: Result<Program, String>,
    rules: ScriptRules,
    script: Script,
    /// What was told last.
    told: ObjectState,
    run: Option<Run>,
    token: Token,
    /// When the last run that was started began.
    began: Instant,
    last: Option<LastRun>,
    runs: u64,
    /// Its run may have ended, or has said something.
    ready: bool,
}

/// What is started, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    argv: Vec<String>,
    user: Option<(u32, u32)>,
}

impl Scripts {
    /// None; those to come have tokens from here on.
    pub(super) fn new(token: usize) -> Self {
        let list = Vec::new();
        Self { list, token }
    }

    /// These scripts from now on.
    pub(super) fn apply(
        &mut self,
        wanted: Vec<TrackScript>,
        global: &Global,
        now: Time,
        board: &Board,
    ) {
        let mut old = std::mem::take(&mut self.list);
        for spec in wanted {
            let object = Object::Script(spec.name.value.clone());
            let known = old.iter().position(|entry| entry.object == object);
            let entry = match known {
                Some(at) => {
                    let mut entry = old.swap_remove(at);
                    entry.change(spec, global, now, board);
                    entry
                }
                None => {
                    let token = Token(self.token);
                    self.token += 1;
                    Entry::new(object, spec, global, (now, token), board)
                }
            };
            self.list.push(entry);
        }
        for gone in old {
            board.end(&gone.object);
        }
    }

    /// Something has happened to the script of this token.
    pub(super) fn ready(&mut self, token: Token) {
        if let Some(entry) = self.list.iter_mut().find(|e| e.token == token) {
            entry.ready = true;
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Time, registry: &Registry, board: &Board) {
        for entry in &mut self.list {
            entry.tick(now, registry, board);
        }
    }

    /// When [`Scripts::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Time> {
        let deadlines = self.list.iter().map(|entry| match entry.ready {
            true => Time::ZERO,
            false => entry.script.deadline(),
        });
        deadlines.min()
    }
}

impl Entry {
    fn new(
        object: Object,
        spec: TrackScript,
        global: &Global,
        (now, token): (Time, Token),
        board: &Board,
    ) -> Self {
        let rules = rules(&spec);
        let script = Script::new(rules, now);
        let program = Program::of(&spec.command, global, |what| board.say(&object, what));
        let mut entry = Self {
            object,
            command: spec.command,
            program,
            rules,
            script,
            told: ObjectState::Unknown,
            run: None,
            token,
            began: Instant::now(),
            last: None,
            runs: 0,
            ready: false,
        };
        board.begin(&entry.object, entry.detail());
        entry.tell(board);
        entry
    }

    fn change(&mut self, spec: TrackScript, global: &Global, now: Time, board: &Board) {
        self.rules = rules(&spec);
        self.script.set_rules(self.rules, now);
        self.tell(board);
        let other = spec.command != self.command;
        let program = Program::of(&spec.command, global, |what| {
            if other {
                board.say(&self.object, what);
            }
        });
        if program != self.program && self.run.take().is_some() {
            // It would have told of another program.
            self.script.given_up();
        }
        self.command = spec.command;
        self.program = program;
    }

    fn tick(&mut self, now: Time, registry: &Registry, board: &Board) {
        if std::mem::take(&mut self.ready)
            && let Some(run) = &mut self.run
        {
            match run.ready() {
                Some(status) => self.ended(status, board),
                None => self.ready = run.talking,
            }
        }
        let skipped = self.script.skipped();
        match self.script.tick(now) {
            None if self.script.skipped() == skipped => return,
            None => {}
            Some(Action::Start) => self.start(registry, board),
            Some(Action::Terminate) => self.timed_out(board),
            Some(_) => {
                if let Some(run) = &self.run {
                    run.kill();
                }
            }
        }
        board.note(&self.object, self.detail());
    }

    fn start(&mut self, registry: &Registry, board: &Board) {
        self.began = Instant::now();
        let started = match &self.program {
            Ok(program) => Run::start(&program.argv, program.user, registry, self.token),
            Err(why) => Err(io::Error::other(why.clone())),
        };
        match started {
            Ok(run) => {
                self.began = run.began();
                self.runs += 1;
                self.run = Some(run);
            }
            Err(e) if is_ours(&e) => {
                // We lack something, which says nothing of the script.
                board.say(&self.object, format_args!("cannot be started now: {e}"));
                self.script.given_up();
            }
            Err(e) => self.result(
                false,
                format!("cannot be started: {e}"),
                String::new(),
                board,
            ),
        }
    }

    /// A run has ended by itself, or since it was made to.
    fn ended(&mut self, status: ExitStatus, board: &Board) {
        let Some(run) = self.run.take() else { return };
        if run.ending() {
            self.script.ended(false);
            board.note(&self.object, self.detail());
            return;
        }
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, signal) => format!("killed by signal {}", signal.unwrap_or_default()),
        };
        self.result(status.success(), how, run.said(), board);
    }

    fn timed_out(&mut self, board: &Board) {
        let Some(run) = &mut self.run else { return };
        let said = run.said();
        run.terminate();
        let seconds = self.rules.timeout.as_secs_f64();
        let how = format!("still ran after {seconds} s, its timeout, and was ended");
        self.result(false, how, said, board);
    }

    /// A run has a result. The machine has counted one that took too long already.
    fn result(&mut self, well: bool, how: String, said: String, board: &Board) {
        self.last = Some(LastRun {
            began: self.began,
            took: self.began.elapsed(),
            well,
            how,
            said,
        });
        if self.run.is_none() {
            self.script.ended(well);
        }
        board.note(&self.object, self.detail());
        self.tell(board);
    }

    /// Tells how it is, if that has not been told.
    fn tell(&mut self, board: &Board) {
        let state = self.script.state();
        if state != self.told {
            self.told = state;
            board.tell(&self.object, state, &self.why());
        }
    }

    /// Why it is as it is: its last result, and how often that came.
    fn why(&self) -> String {
        let Some(last) = &self.last else {
            return "has not run yet (`init_fail`)".to_owned();
        };
        let did = if last.well { "succeeded" } else { "failed" };
        let said = match &*last.said {
            "" => String::new(),
            said => format!(": {said}"),
        };
        let times = match self.script.row() {
            None | Some((_, 1)) => String::new(),
            Some((_, times)) => format!(" {times} times in a row"),
        };
        format!("{did} ({}{said}){times}", last.how)
    }

    fn detail(&self) -> Detail {
        Detail::Script {
            running: self.run.as_ref().map(Run::began),
            last: self.last.clone(),
            runs: self.runs,
            skipped: self.script.skipped(),
        }
    }
}

impl Program {
    /// What a command means on this host, or why it is not run. What is weak about it, but allowed, is said.
    fn of(command: &Command, global: &Global, say: impl Fn(&str)) -> Result<Self, String> {
        let host = &SystemHost;
        let named = command.user.as_ref();
        let ours = ourselves();
        let nobody = named.is_none() && global.script_user.is_none();
        let user = match nobody && ours.0 != 0 {
            // Whoever is not root cannot become somebody else, and need not.
            true => None,
            false => security::runs_as(host, global, named).map_err(|e| e.to_string())?,
        };
        let name = command.argv.first().map_or("", String::as_str);
        let located = security::locate(host, name);
        if user.unwrap_or(ours).0 == 0
            && let Some((path, _)) = &located
            && let Some(weakness) = security::weakness(host, path, global.symlink_paths)
        {
            if global.script_security {
                return Err(format!(
                    "it would run as root, and {weakness}: `enable_script_security` forbids it"
                ));
            }
            say(&format!(
                "runs as root, and {weakness}: who can change it is root"
            ));
        }
        let mut argv = command.argv.clone();
        // What was looked at is what is run. Links are left as they are: programs such as pidof are told by their name.
        if let (Some((path, _)), Some(first)) = (&located, argv.first_mut())
            && let Some(path) = path.to_str()
        {
            path.clone_into(first);
        }
        Ok(Self {
            argv,
            user: user.filter(|user| *user != ours),
        })
    }
}

fn rules(spec: &TrackScript) -> ScriptRules {
    ScriptRules {
        interval: spec.interval.max(Duration::from_millis(1)),
        timeout: spec.timeout,
        rise: spec.rise,
        fall: spec.fall,
        init_fail: spec.init_fail,
    }
}

/// Whether that a program was not started has to do with us.
fn is_ours(e: &io::Error) -> bool {
    let number = e.raw_os_error();
    let ours = [libc::EMFILE, libc::ENFILE, libc::EAGAIN, libc::ENOMEM];
    e.kind() == ErrorKind::Interrupted || number.is_some_and(|n| ours.contains(&n))
}

/// The user and the group that we run as.
fn ourselves() -> (u32, u32) {
    std::fs::metadata("/proc/self").map_or((0, 0), |us| (us.uid(), us.gid()))
}
