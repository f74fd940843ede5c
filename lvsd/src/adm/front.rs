//! Command lines: `lvsd adm`, and `ipvsadm` where the program is called by that name.
//!
//! Problem: scripts know ipvsadm by what it prints and by its exit status, and ask a kernel that is always there. A daemon
//! may be missing.
//!
//! Rule: a command line is read here, names of hosts and ports included, so that what is wrong with it is said with or
//! without a daemon. A change then goes to the daemon as words with numbers; whatever is printed is made here from what the
//! daemon tells.

use std::fmt;
use std::io::{self, BufRead, BufWriter, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use super::listing::{self, Layout};
use super::names::{Numbers, Shown, SystemShown};
use super::{connections, help, json, restore, save};
use crate::control::client::{Client, ClientError};
use crate::control::conns::{Connection, Filter};
use crate::control::socket_path;
use crate::control::table::{Key, Table};
use crate::exit;
use crate::rules::{Command, CommandError, Listing, Names, SystemNames, What, parse_command};

/// Runs a command line. `program` is how the program was called, `args` what follows. Before ipvsadm's arguments, here and
/// in the others, `--socket PATH` may stand.
pub fn run(program: &str, args: &[String]) -> ExitCode {
    at(program, args, |front, words| front.command(words))
}

/// Runs `ipvsadm-save`. `args` is what follows the program's name.
pub fn run_save(args: &[String]) -> ExitCode {
    at("ipvsadm", args, |front, words| front.save_script(words))
}

/// Runs `ipvsadm-restore`, for which it does not matter what else follows its name.
pub fn run_restore(args: &[String]) -> ExitCode {
    at("ipvsadm", args, |front, _| front.restore_script())
}

/// Runs `lvsd adm`, which also knows the word `diff`. `lvsd` is how lvsd was called, `args` what follows `adm`.
pub fn run_ours(lvsd: &str, args: &[String]) -> ExitCode {
    at(&format!("{lvsd} adm"), args, |front, words| match words {
        ["diff", rest @ ..] => front.diff(rest),
        words => front.command(words),
    })
}

fn leading_socket(args: &[String]) -> Result<(Option<&str>, &[String]), &'static str> {
    match args {
        [option, path, rest @ ..] if option == "--socket" => Ok((Some(path), rest)),
        [option] if option == "--socket" => Err("--socket: missing argument"),
        [option, rest @ ..] => match option.strip_prefix("--socket=") {
            Some(path) => Ok((Some(path), rest)),
            None => Ok((None, args)),
        },
        [] => Ok((None, args)),
    }
}

fn at(program: &str, args: &[String], run: impl FnOnce(&mut Front<'_>, &[&str]) -> u8) -> ExitCode {
    let (socket, args) = match leading_socket(args) {
        Ok(found) => found,
        Err(message) => {
            let _ = writeln!(io::stderr(), "{message}");
            return ExitCode::from(exit::WRONG);
        }
    };
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut front = Front {
        program,
        socket: socket_path(socket),
        names: &SystemNames::default(),
        shown: &SystemShown::default(),
        input: &mut io::stdin().lock(),
        out: &mut BufWriter::with_capacity(1 << 16, io::stdout().lock()),
        err: &mut io::stderr().lock(),
    };
    ExitCode::from(run(&mut front, &words))
}

/// Where a command line comes from and its answers go.
#[expect(clippy::exhaustive_structs, reason = "its users build it")]
pub struct Front<'a> {
    /// How the program was called.
    pub program: &'a str,
    /// Where the daemon listens.
    pub socket: PathBuf,
    /// What names of hosts and ports mean.
    pub names: &'a dyn Names,
    /// Which names hosts and ports have.
    pub shown: &'a dyn Shown,
    /// What `-R` reads.
    pub input: &'a mut dyn BufRead,
    /// Listings.
    pub out: &'a mut dyn Write,
    /// Complaints.
    pub err: &'a mut dyn Write,
}

impl fmt::Debug for Front<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("program", &self.program)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// Why a command line is not carried out.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is said why, and this is the exit status.
    Said(u8, String),
    /// It has been said already, and this is the exit status.
    IsSaid(u8),
    /// What is printed cannot be written.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        Self::Output(e)
    }
}

impl<'a> Front<'a> {
    /// Carries out a command line, given without the program's name, and returns the exit status.
    pub fn command(&mut self, words: &[&str]) -> u8 {
        self.done(|front| front.execute(words))
    }

    /// Does something, says what goes wrong, and returns the exit status.
    pub(super) fn done(&mut self, what: impl FnOnce(&mut Self) -> Result<(), Failure>) -> u8 {
        let done = what(self);
        let written = self.out.flush().map_err(Failure::Output);
        match done.and(written) {
            Ok(()) => 0,
            Err(Failure::IsSaid(exit)) => exit,
            // Whoever closed our output does not want to read on.
            Err(Failure::Output(e)) if e.kind() == ErrorKind::BrokenPipe => 0,
            Err(Failure::Output(e)) => self.say(exit::FAILED, &format!("cannot write: {e}")),
            Err(Failure::Said(exit, message)) => self.say(exit, &message),
        }
    }

    fn say(&mut self, exit: u8, message: &str) -> u8 {
        // Nobody is left to be told if that fails.
        let _ = writeln!(self.err, "{message}");
        exit
    }

    fn execute(&mut self, words: &[&str]) -> Result<(), Failure> {
        let command = parse_command(words, self.names).map_err(|e| self.wrong(&e))?;
        match command {
            Command::Help => Ok(self.out.write_all(help::text(self.program).as_bytes())?),
            Command::Version => Ok(writeln!(self.out, "{}", help::VERSION)?),
            Command::List(listing) => self.list(&listing),
            Command::Save { numeric } => self.save(numeric),
            // Such lines are for files.
            Command::Setting { .. } => Err(self.wrong(&CommandError::no_command())),
            Command::Restore { compat: true } => restore::line_by_line(self),
            Command::Restore { compat: false } => restore::all(self),
            change => self.change(&change),
        }
    }

    /// What ipvsadm says to a wrong command line.
    pub(super) fn wrong(&self, e: &CommandError) -> Failure {
        Failure::Said(e.exit, e.said(self.program))
    }

    /// A connection to the daemon.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        Client::connect(&self.socket).map_err(|e| {
            let advice = match &e {
                ClientError::Connect(_, e) if e.kind() == ErrorKind::PermissionDenied => {
                    "`lvsd run --socket-group GROUP' lets a group in."
                }
                // It says itself what is to be done.
                ClientError::Unsupported(_) => {
                    return Failure::Said(exit::WRONG, format!("Can't initialize ipvs: {e}"));
                }
                _ => {
                    "Start it by `lvsd run'; if it listens elsewhere, say where in LVSD_SOCKET, or by `lvsd adm --socket PATH'."
                }
            };
            Failure::Said(exit::WRONG, format!("Can't initialize ipvs: {e}\n{advice}"))
        })
    }

    fn change(&mut self, command: &Command) -> Result<(), Failure> {
        let applied = self.client()?.apply(vec![command.words()], false);
        match applied.map_err(|e| Failure::Said(exit::REFUSED, e.to_string()))? {
            Ok(()) => Ok(()),
            Err(refusals) => Err(match refusals.into_iter().next() {
                Some(refusal) => Failure::Said(refusal.exit, refusal.message),
                None => Failure::Said(exit::REFUSED, "lvsd refuses without a reason".to_owned()),
            }),
        }
    }

    fn list(&mut self, asked: &Listing) -> Result<(), Failure> {
        let mut client = self.client()?;
        match asked.what {
            What::Connections { .. } => self.list_connections(client, asked),
            // None can be started yet.
            What::Daemons if asked.json => Ok(json::write(self.out, &[(); 0])?),
            What::Daemons => Ok(()),
            What::Timeouts => {
                let timeouts = table(&mut client)?.timeouts;
                match asked.json {
                    true => json::write(self.out, &timeouts)?,
                    false => writeln!(self.out, "{}", listing::timeouts(&timeouts))?,
                }
                Ok(())
            }
            What::Marks => {
                let marks = table(&mut client)?.marks;
                match asked.json {
                    true => Ok(json::write(self.out, &marks)?),
                    false => self.lines(marks),
                }
            }
            _ => self.list_services(client, asked),
        }
    }

    fn list_services(&mut self, mut client: Client, asked: &Listing) -> Result<(), Failure> {
        let has_banner = asked.service.is_none() && !asked.json;
        if has_banner {
            writeln!(self.out, "{}", listing::BANNER)?;
        }
        let mut table = table(&mut client)?;
        if let Some(key) = asked.service.map(Key::from) {
            table.services.retain(|service| service.key == key);
            if table.services.is_empty() {
                return Err(Failure::Said(exit::FAILED, "No such service".to_owned()));
            }
        }
        if !asked.nosort {
            listing::sort(&mut table.services);
        }
        match (asked.json, asked.service, table.services.first()) {
            (true, Some(_), Some(only)) => return Ok(json::write(self.out, only)?),
            (true, ..) => return Ok(json::write(self.out, &table)?),
            _ => {}
        }
        let layout = Layout {
            what: asked.what,
            exact: asked.exact,
            names: self.shown(asked.numeric),
        };
        let lines = listing::lines(&table.services, &layout);
        self.out.write_all(layout.heads().as_bytes())?;
        self.lines(lines)
    }

    fn list_connections(&mut self, mut client: Client, asked: &Listing) -> Result<(), Failure> {
        let names = self.shown(asked.numeric);
        let mut rows: Box<dyn Rows + '_> = match asked {
            Listing { json: true, .. } => Box::new(json::Array::default()),
            Listing { what, .. } => Box::new(connections::Lines {
                engines: *what == What::Connections { engines: true },
                names,
            }),
        };
        rows.begin(self.out)?;
        let mut written = Ok(());
        let told = client.connections(Filter::default(), |some| {
            let each = some.iter().try_for_each(|c| rows.row(self.out, c));
            // Millions may follow: whoever waits sees the first at once.
            written = each.and_then(|()| self.out.flush());
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        written?;
        told.map_err(unlisted)?;
        Ok(rows.end(self.out)?)
    }

    pub(super) fn save(&mut self, numeric: bool) -> Result<(), Failure> {
        let mut table = table(&mut self.client()?)?;
        listing::sort(&mut table.services);
        let lines = save::lines(&table, self.shown(numeric));
        self.lines(lines)
    }

    fn shown(&self, numeric: bool) -> &'a dyn Shown {
        match numeric {
            true => &Numbers,
            false => self.shown,
        }
    }

    fn lines(&mut self, lines: Vec<String>) -> Result<(), Failure> {
        let mut lines = lines.iter();
        Ok(lines.try_for_each(|line| writeln!(self.out, "{line}"))?)
    }
}

/// A listing of connections, row by row.
pub(super) trait Rows {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()>;
    fn row(&mut self, out: &mut dyn Write, connection: &Connection) -> io::Result<()>;
    fn end(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

pub(super) fn table(client: &mut Client) -> Result<Table, Failure> {
    client.table().map_err(unlisted)
}

fn unlisted(e: ClientError) -> Failure {
    Failure::Said(exit::FAILED, e.to_string())
}
