//! `lvsd top` on a terminal: keys, signals and the daemon's answers, each from a thread of its own, as they come.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;

use super::keys::keys;
use super::model::{Line, Model, Style};
use super::options::Options;
use super::terminal::{FullScreen, Size};
use crate::control::client::{Client, ClientError};
use crate::control::socket_path;
use crate::control::table::Table;
use crate::exit;

/// The size of a terminal that does not know its own.
const USUAL: Size = Size {
    rows: 24,
    columns: 80,
};

/// What comes.
enum Event {
    Keys(Vec<u8>),
    /// There will be no more keys.
    NoKeys,
    Signal(i32),
    Answer(Box<Result<Table, ClientError>>),
}

/// Shows the table until somebody wants to quit; returns the exit status.
pub(super) fn live(options: &Options) -> Result<u8, String> {
    let path = socket_path(options.socket.as_deref());
    // Who has never answered is not waited for.
    let client = Client::connect(&path).map_err(|e| e.to_string())?;
    let trouble = |e: io::Error| format!("the terminal cannot be used: {e}");
    let (events, coming) = mpsc::channel();
    let questions = start(client, path, &events).map_err(trouble)?;
    drop(events);
    let terminal = io::stdout().as_fd().try_clone_to_owned().map_err(trouble)?;
    let screen = FullScreen::enter(terminal).map_err(trouble)?;
    show(options, &screen, &coming, &questions).map_err(trouble)
}

/// Starts the threads. Each question asked is answered by an event.
fn start(client: Client, path: PathBuf, events: &Sender<Event>) -> io::Result<Sender<()>> {
    let (questions, asked) = mpsc::channel();
    let keys = io::stdin().as_fd().try_clone_to_owned()?;
    let signals = [SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH];
    let signals = Signals::new(signals)?;
    let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
        thread::Builder::new()
            .name(format!("lvsd-{name}"))
            .spawn(body)
    };
    let to = events.clone();
    spawn("keys", Box::new(move || read_keys(keys, &to)))?;
    let to = events.clone();
    spawn("signals", Box::new(move || read_signals(signals, &to)))?;
    let to = events.clone();
    spawn(
        "questions",
        Box::new(move || ask(client, path, &asked, &to)),
    )?;
    Ok(questions)
}

fn read_keys(terminal: OwnedFd, events: &Sender<Event>) {
    let mut terminal = File::from(terminal);
    let mut bytes = [0; 256];
    loop {
        let event = match terminal.read(&mut bytes) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => Event::NoKeys,
            Ok(read) => Event::Keys(bytes.get(..read).unwrap_or_default().to_vec()),
        };
        let is_last = matches!(event, Event::NoKeys);
        if events.send(event).is_err() || is_last {
            return;
        }
    }
}

fn read_signals(mut signals: Signals, events: &Sender<Event>) {
    for signal in signals.forever() {
        if events.send(Event::Signal(signal)).is_err() {
            return;
        }
    }
}

/// Asks for a table whenever told to; of another daemon if this one has gone.
fn ask(client: Client, path: PathBuf, asked: &Receiver<()>, events: &Sender<Event>) {
    let mut client = Some(client);
    for () in asked {
        let connected = client.take().map_or_else(|| Client::connect(&path), Ok);
        let answer = connected.and_then(|mut connected| {
            let table = connected.table()?;
            client = Some(connected);
            Ok(table)
        });
        if events.send(Event::Answer(Box::new(answer))).is_err() {
            return;
        }
    }
}

fn show(
    options: &Options,
    screen: &FullScreen,
    coming: &Receiver<Event>,
    questions: &Sender<()>,
) -> io::Result<u8> {
    let size = || screen.size().unwrap_or(USUAL);
    let mut model = Model::new(size(), options.interval, options.sort);
    let (mut is_asked, mut next) = (false, Instant::now());
    loop {
        if !is_asked && !model.is_paused() && Instant::now() >= next {
            // Nobody is there to ask only if that thread has panicked.
            questions.send(()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            is_asked = true;
            next = Instant::now() + options.interval;
        }
        screen.write(&render(&model.frame(), model.size().columns))?;
        let idle = is_asked || model.is_paused();
        let wait = if idle {
            LONG
        } else {
            next.saturating_duration_since(Instant::now())
        };
        let mut event = match coming.recv_timeout(wait) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        // All that has come by now makes one frame.
        while let Some(this) = event {
            match this {
                Event::Keys(bytes) => {
                    if !keys(&bytes).into_iter().all(|key| model.pressed(key)) {
                        return Ok(0);
                    }
                }
                Event::NoKeys | Event::Signal(SIGINT) => return Ok(0),
                Event::Signal(SIGWINCH) => model.resized(size()),
                Event::Signal(SIGTSTP) => screen.suspend()?,
                Event::Signal(SIGCONT) => {
                    screen.resume()?;
                    model.resized(size());
                }
                Event::Signal(signal) => return Ok(exit::by_signal(signal)),
                Event::Answer(answer) => {
                    is_asked = false;
                    match *answer {
                        Ok(table) => model.answered(table),
                        Err(e) => model.failed(&e.to_string()),
                    }
                }
            }
            event = coming.try_recv().ok();
        }
    }
}

/// While nothing is to be done at a certain time.
const LONG: Duration = Duration::from_secs(3_600);

/// A frame's bytes: every line of the screen from its first column, the rest of it cleared, and nothing to be seen half done (synchronised output, which terminals that do not know it ignore).
fn render(lines: &[Line], width: usize) -> Vec<u8> {
    let mut bytes = b"\x1b[?2026h".to_vec();
    for (row, line) in (1..).zip(lines) {
        let (on, off) = match line.style {
            Style::Plain => ("", ""),
            Style::Bold => ("\x1b[1m", "\x1b[0m"),
            Style::Dim => ("\x1b[2m", "\x1b[0m"),
            Style::Reverse => ("\x1b[7m", "\x1b[0m"),
            Style::Alert => ("\x1b[1;4m", "\x1b[0m"),
        };
        // In the last column the cursor is still in it: clearing would clear the last character.
        let clear = if line.text.len() < width {
            "\x1b[K"
        } else {
            ""
        };
        bytes.extend(format!("\x1b[{row};1H{on}{}{off}{clear}", line.text).bytes());
    }
    bytes.extend(b"\x1b[?2026l");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_piece_without_remains_of_the_last() {
        let line = |text: &str, style| Line {
            text: text.to_owned(),
            style,
        };
        let lines = [
            line("ab", Style::Plain),
            line("abcd", Style::Reverse),
            line("", Style::Dim),
        ];
        let bytes = String::from_utf8(render(&lines, 4)).unwrap();
        assert_eq!(
            bytes,
            "\x1b[?2026h\x1b[1;1Hab\x1b[K\x1b[2;1H\x1b[7mabcd\x1b[0m\x1b[3;1H\x1b[2m\x1b[0m\x1b[K\x1b[?2026l"
        );
    }
}
