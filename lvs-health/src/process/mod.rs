//! Starts programs, as another user if wanted, without copying this process.
//!
//! The standard library does so too, but not for another user: then it forks, which copies the page tables. A director with a
//! million connections stands still for that, as do all of its threads; with 1.5 GB it was a fifth of a second. Here the
//! child borrows our memory until it has become the program.
//!
//! A program gets a process group of its own, all signals as by default, `/dev/null` as input, the output it is given or
//! `/dev/null`, and no other descriptors. Its environment is ours without what would change how a shell reads a script or what is
//! loaded into it.

mod vfork;

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitStatus;

/// What an environment must not bring along.
const UNWANTED: [&str; 3] = ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"];

/// Where programs without a path are looked for, if nobody says where.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A program to be started.
#[derive(Debug)]
pub struct Program<'a> {
    /// The program and its arguments. Without a slash it is looked for along `PATH`.
    pub argv: &'a [String],
    /// Variables besides those it inherits.
    pub variables: &'a [(&'a str, &'a str)],
    /// Whom it runs as, user and group, without any supplementary groups; `None`: as we do.
    pub user: Option<(u32, u32)>,
    /// Where its output and its errors go; `None`: nowhere.
    pub output: Option<BorrowedFd<'a>>,
    /// It gets SIGTERM when the thread that started it ends, however that comes about.
    pub ends_with_us: bool,
}

/// A program that runs, or has ended. If this is dropped, the program goes on, and nobody waits for it until we end.
#[derive(Debug)]
pub struct Process {
    id: u32,
    descriptor: OwnedFd,
    status: Option<ExitStatus>,
}

impl<'a> Program<'a> {
    /// As we are, its output thrown away.
    pub fn new(argv: &'a [String]) -> Self {
        Self {
            argv,
            variables: &[],
            user: None,
            output: None,
            ends_with_us: false,
        }
    }

    /// Starts it. Takes a fraction of a millisecond, and returns when the program has begun.
    ///
    /// # Errors
    ///
    /// If there is no such program, we may not run it, or may not become that user.
    pub fn start(&self) -> io::Result<Process> {
        // To the kernel, -1 is "as it is".
        if let Some((u32::MAX, _) | (_, u32::MAX)) = self.user {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "no such user or group",
            ));
        }
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let output = self.output.unwrap_or_else(|| null.as_fd());
        // The standard library's copies are never among the first three.
        let [input, output] = [
            null.as_fd().try_clone_to_owned()?,
            output.try_clone_to_owned()?,
        ];
        let start = vfork::Start {
            candidates: self.candidates()?,
            argv: strings(self.argv.iter().map(OsString::from))?,
            environment: strings(self.environment())?,
            input: input.as_fd(),
            output: output.as_fd(),
            user: self.user,
            ends_with_us: self.ends_with_us,
        };
        let (id, descriptor) = vfork::start(&start)?;
        Ok(Process {
            id,
            descriptor,
            status: None,
        })
    }

    /// What to run: the first of them that can be.
    fn candidates(&self) -> io::Result<Vec<CString>> {
        let Some(program) = self.argv.first().filter(|p| !p.is_empty()) else {
            return Err(io::Error::new(ErrorKind::InvalidInput, "no program"));
        };
        if program.contains('/') {
            return strings([program.into()]);
        }
        let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
        strings(std::env::split_paths(&path).map(|folder| folder.join(program).into_os_string()))
    }

    fn environment(&self) -> impl Iterator<Item = OsString> {
        let replaced = |name: &OsStr| self.variables.iter().any(|(n, _)| name == *n);
        let inherited = std::env::vars_os()
            .filter(move |(name, _)| !UNWANTED.iter().any(|u| name == u) && !replaced(name));
        let ours = self.variables.iter().map(|&(n, v)| (n.into(), v.into()));
        inherited.chain(ours).map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        })
    }
}

impl Process {
    /// Its number, which is also its group's.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// If that cannot be known, because somebody else has waited for it.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = vfork::try_wait(self.descriptor.as_fd())?;
        }
        Ok(self.status)
    }

    /// Sends a signal to its group: to it, and to whatever it has started. Once it has been [waited for](Self::try_wait)
    /// the group's number may be somebody else's, and nothing is sent.
    pub fn signal_group(&self, signal: i32) {
        if self.status.is_none() {
            vfork::signal_group(self.id, signal);
        }
    }
}

/// Becomes readable when the program has ended.
impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn strings(texts: impl IntoIterator<Item = OsString>) -> io::Result<Vec<CString>> {
    let texts = texts.into_iter().map(|t| CString::new(t.into_vec()));
    texts
        .collect::<Result<_, _>>()
        .map_err(|_| io::Error::new(ErrorKind::InvalidInput, "a zero byte in the command"))
}
