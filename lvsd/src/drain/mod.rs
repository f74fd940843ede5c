//! `lvsd drain`: takes a real server out of service without losing what it is doing.
//!
//! | module | holds |
//! |---|---|
//! | `options` | the command line |
//! | `course` | what is done when: a machine without clock and socket |
//! | `commands` | ipvsadm's commands for it |
//! | `work` | the daemon asked, time passing |
//! | `report`, `screen` | what is said, and where |

mod commands;
mod course;
mod options;
mod report;
mod screen;
mod work;

use std::io;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::arguments::{say, understood};
use crate::exit;
use crate::rules::SystemNames;
use options::Options;
use screen::Screen;

const NAME: &str = "drain";

const USAGE: &str = "\
Usage: lvsd drain SERVICE -r SERVER [OPTION]...

Takes a real server out of a service: gives it weight 0, so that it gets no new connections, waits until those it has
are over, and removes it.

  SERVICE is -t|-u|--sctp-service ADDRESS:PORT or -f MARK [-6], SERVER is ADDRESS[:PORT], both as for ipvsadm.

Options:
  --deadline TIME   wait no longer than that: 60, 60s, 5m, 2h, or never (default 15m: what is left then has been in
                    use all the time). Then the server is removed all the same: its UDP clients and its templates move
                    to other servers, its TCP and SCTP connections are cut
  --move-udp        move its UDP clients to other servers at once instead of waiting until they are silent
  --move-templates  forget at once which clients the service's persistence keeps on it
  --keep            leave it at weight 0 in the end instead of removing it; at the deadline nothing is cut
  --json            say everything on standard output, one JSON object a line
  --socket PATH     ask the lvsd that listens there (default: $LVSD_SOCKET, or /run/lvsd.sock)
  -h, --help        this text

Connections that both sides have closed (ipvsadm still counts them as InActConn for two minutes) are not waited for. Those
of direct routing and tunnels, whose servers' answers the director does not see, are waited for until they time out.

Of a persistent service, clients that know the server come back to it even at weight 0, until they have stayed away
for the service's timeout: they are waited for too. With --move-templates they go elsewhere when they next connect; with
net.ipv4.vs.expire_quiescent_template = 1 they do so anyway. To move the UDP clients of a persistent service give
both --move-udp and --move-templates.

Ctrl-C, or the end of the session, stops the waiting. The server stays at weight 0, and what to type to go on or to undo it is said. (A second Ctrl-C is
for a daemon that does not answer.)

The objects of --json have an \"event\": \"note\" with a \"message\"; \"moved\" with a \"count\"; \"progress\" every 5 seconds, with
\"active\", \"inactive\" (of which \"closed\" by both sides), \"persistent\", \"seconds\" and \"seconds_left\"; and last \"end\" with the
same, an \"outcome\" (removed, kept, gone, called-off, stopped, no-service, no-server, failed), a \"message\", the \"exit\" status,
and \"undo\", the words of ipvsadm that give the server its weight back.

Examples:
  lvsd drain -t 192.0.2.10:80 -r 10.0.0.11:8080
  lvsd drain -t 192.0.2.10:443 -r 10.0.0.11 --deadline 60s --move-templates
  lvsd drain -u 192.0.2.10:53 -r 10.0.0.21 --move-udp --keep

Exit status: 0 the server is drained, and removed or kept; 3 at the deadline connections were left; 1 the daemon cannot be
asked, there is no such server, or somebody else has given it a weight meanwhile; 2 wrong usage; 129, 130 or 143 stopped by a
signal.
";

/// Runs `lvsd drain` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let read = Options::parse(args, &SystemNames::default());
    let options = match understood(NAME, USAGE, read) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let interrupts = match interrupts() {
        Ok(interrupts) => interrupts,
        Err(e) => {
            say(NAME, &format!("cannot receive signals: {e}"));
            return ExitCode::from(exit::FAILED);
        }
    };
    let mut screen = Screen::of_process(options.json);
    ExitCode::from(work::work(&options, args, &interrupts, &mut screen))
}

/// Signals that ask us to stop; a second one, should we be waiting for a daemon that does not answer, ends us at once.
fn interrupts() -> io::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let (sender, receiver) = mpsc::channel();
    let body = move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 || sender.send(signal).is_err() {
                std::process::exit(exit::by_signal(signal).into());
            }
        }
    };
    thread::Builder::new()
        .name("lvsd-signals".to_owned())
        .spawn(body)?;
    Ok(receiver)
}
