//! The terminal: its size, keys as they are pressed, a screen of our own.
//!
//! Whatever happens, the terminal is left as it was: when [`FullScreen`] is dropped, and before a panic's message is
//! printed. What Ctrl-C and Ctrl-Z mean stays the terminal's business: they come as signals.

use std::fs::File;
use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::panic;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The alternate screen, without a cursor; and back.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";

/// How many characters fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// The size of a terminal; `None` of what is none, or does not know.
#[expect(unsafe_code, reason = "the standard library does not know terminals")]
pub(crate) fn size(terminal: &impl AsFd) -> Option<Size> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    let fd = terminal.as_fd().as_raw_fd();
    // SAFETY: the request fills in a winsize, which is what it is given; a zeroed one is valid besides.
    let size = unsafe {
        if libc::ioctl(fd, libc::TIOCGWINSZ, size.as_mut_ptr()) != 0 {
            return None;
        }
        size.assume_init()
    };
    (size.ws_row > 0 && size.ws_col > 0).then(|| Size {
        rows: size.ws_row.into(),
        columns: size.ws_col.into(),
    })
}

/// A terminal that is ours, until this is dropped. There is one at a time.
#[derive(Debug)]
pub(super) struct FullScreen(());

/// The terminal that is ours, and how it was.
static OURS: Mutex<Option<(File, libc::termios)>> = Mutex::new(None);

impl FullScreen {
    /// Takes a terminal: its keys come one by one and are not shown, and its screen is kept for later.
    pub(super) fn enter(terminal: OwnedFd) -> io::Result<Self> {
        let mut terminal = File::from(terminal);
        let before = attributes(terminal.as_fd())?;
        set_attributes(terminal.as_fd(), &unbuffered(before))?;
        // From here on it is given back.
        let screen = Self(());
        let entered = terminal.write_all(ENTER);
        *ours() = Some((terminal, before));
        give_back_on_panic();
        entered.map(|()| screen)
    }

    /// Writes to it, all at once.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match &mut *ours() {
            Some((terminal, _)) => terminal.write_all(bytes),
            None => Ok(()),
        }
    }

    pub(super) fn size(&self) -> Option<Size> {
        ours().as_ref().and_then(|(terminal, _)| size(terminal))
    }

    /// Lets the shell have the terminal until it continues us.
    pub(super) fn suspend(&self) -> io::Result<()> {
        if let Some((terminal, before)) = &mut *ours() {
            set_attributes(terminal.as_fd(), before)?;
            terminal.write_all(LEAVE)?;
        }
        stop_process()?;
        self.write(ENTER)?;
        self.resume()
    }

    /// Has keys come as we want them again, after a shell has had the terminal.
    pub(super) fn resume(&self) -> io::Result<()> {
        match &*ours() {
            Some((terminal, before)) => set_attributes(terminal.as_fd(), &unbuffered(*before)),
            None => Ok(()),
        }
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        give_back();
    }
}

fn ours() -> MutexGuard<'static, Option<(File, libc::termios)>> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves the terminal as it was, once.
fn give_back() {
    if let Some((mut terminal, before)) = ours().take() {
        // If it has gone there is nothing to give back.
        let _ = terminal.write_all(LEAVE);
        let _ = set_attributes(terminal.as_fd(), &before);
    }
}

/// A panic's message is printed before anything is dropped, and would vanish with our screen.
fn give_back_on_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        give_back();
        print(info);
    }));
}

/// Keys at once, and not shown.
fn unbuffered(mut attributes: libc::termios) -> libc::termios {
    attributes.c_lflag &= !(libc::ICANON | libc::ECHO | libc::IEXTEN);
    attributes.c_cc[libc::VMIN] = 1;
    attributes.c_cc[libc::VTIME] = 0;
    attributes
}

#[expect(unsafe_code, reason = "the standard library does not know terminals")]
fn attributes(terminal: BorrowedFd<'_>) -> io::Result<libc::termios> {
    let mut attributes = MaybeUninit::<libc::termios>::zeroed();
    // SAFETY: the descriptor is open; the call fills in the termios it is given, and a zeroed one is valid besides.
    unsafe {
        match libc::tcgetattr(terminal.as_raw_fd(), attributes.as_mut_ptr()) {
            0 => Ok(attributes.assume_init()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[expect(unsafe_code, reason = "the standard library does not know terminals")]
fn set_attributes(terminal: BorrowedFd<'_>, attributes: &libc::termios) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the call only reads the termios.
    match unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSADRAIN, attributes) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What SIGTSTP does to a process that does not care: it stops, if somebody is there to continue it.
#[expect(unsafe_code, reason = "the standard library does not know signals")]
fn stop_process() -> io::Result<()> {
    let mut usual = MaybeUninit::<libc::sigaction>::zeroed();
    let mut ours = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a zeroed sigaction is valid and means the default action; both pointers are to such records, and what is put
    // back in the end is what was there.
    let stopped = unsafe {
        (*usual.as_mut_ptr()).sa_sigaction = libc::SIG_DFL;
        if libc::sigaction(libc::SIGTSTP, usual.as_ptr(), ours.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let raised = libc::raise(libc::SIGTSTP);
        let put_back = libc::sigaction(libc::SIGTSTP, ours.as_ptr(), ptr::null_mut());
        raised == 0 && put_back == 0
    };
    match stopped {
        true => Ok(()),
        false => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::FromRawFd as _;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// A terminal without anybody before it, 30 rows of 100 columns: our end and the program's.
    #[expect(unsafe_code, reason = "the standard library does not know terminals")]
    fn pseudo_terminal() -> (File, OwnedFd) {
        let size = libc::winsize {
            ws_row: 30,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let (mut ours, mut theirs) = (-1, -1);
        let none = ptr::null_mut();
        // SAFETY: both places for descriptors and the size outlive the call; a null name and null attributes are allowed;
        // the two new descriptors are nobody else's.
        unsafe {
            let opened = libc::openpty(
                &raw mut ours,
                &raw mut theirs,
                none,
                none.cast(),
                &raw const size,
            );
            assert_eq!(opened, 0, "{}", io::Error::last_os_error());
            (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
        }
    }

    /// What matters of how a terminal is set.
    fn setting(terminal: &OwnedFd) -> (u32, u32, [u8; 32]) {
        let a = attributes(terminal.as_fd()).unwrap();
        (a.c_lflag, a.c_iflag, a.c_cc)
    }

    /// One test, since there is one screen.
    #[test]
    fn the_terminal_is_given_back_in_any_case() {
        let (mut ours, theirs) = pseudo_terminal();
        let before = setting(&theirs);
        let (sender, seen) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 1000];
            while let Ok(n @ 1..) = io::Read::read(&mut ours, &mut bytes) {
                sender.send(bytes[..n].to_vec()).unwrap();
            }
        });
        let written = || {
            let mut all = Vec::new();
            while let Ok(some) = seen.recv_timeout(std::time::Duration::from_millis(300)) {
                all.extend(some);
            }
            String::from_utf8(all).unwrap()
        };
        assert_eq!(
            size(&theirs),
            Some(Size {
                rows: 30,
                columns: 100
            })
        );

        let screen = FullScreen::enter(theirs.try_clone().unwrap()).unwrap();
        assert_eq!(
            screen.size(),
            Some(Size {
                rows: 30,
                columns: 100
            })
        );
        let during = setting(&theirs);
        assert_eq!(during.0 & (libc::ICANON | libc::ECHO), 0);
        assert_ne!(during.0 & libc::ISIG, 0, "Ctrl-C stays a signal");
        screen.write(b"hello").unwrap();
        drop(screen);
        assert_eq!(setting(&theirs), before);
        let wanted = "\x1b[?1049h\x1b[?25lhello\x1b[0m\x1b[?25h\x1b[?1049l";
        assert_eq!(written(), wanted);

        // A panic gives it back before it prints, and once.
        let (sender, at_print) = mpsc::channel();
        let (of_hook, print) = (theirs.try_clone().unwrap(), panic::take_hook());
        panic::set_hook(Box::new(move |info| {
            let _ = sender.send(setting(&of_hook));
            print(info);
        }));
        let panicked = panic::catch_unwind(|| {
            let _screen = FullScreen::enter(theirs.try_clone().unwrap()).unwrap();
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        assert_eq!(at_print.recv().unwrap(), before);
        assert_eq!(setting(&theirs), before);
        assert_eq!(written(), wanted.replace("hello", ""));

        let (reader, _writer) = io::pipe().unwrap();
        assert_eq!(size(&reader), None);
        assert!(FullScreen::enter(reader.into()).is_err());
    }
}
