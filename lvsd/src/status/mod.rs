//! `lvsd status`: how services, servers and checks are.
//!
//! The daemon tells everything, in one answer; what is not asked for is left out here.

mod options;
mod select;
mod text;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::arguments::{say, understood};
use crate::control::client::Client;
use crate::control::socket_path;
use crate::exit;
use options::Options;
use select::Tally;

const NAME: &str = "status";

const USAGE: &str = "\
Usage: lvsd status [OPTION]... [SERVICE]...

Shows how the services, servers and checks are that the running lvsd has from its configuration (the FILE of `lvsd run -f FILE`).

SERVICE is an address, an address and port, a firewall mark, a group's name, or a service as logs and listings write it
(TCP 192.0.2.10:80). With several, each of them is shown; without one, all are.

Options:
      --down                    only servers that are down, and services without quorum
  -r, --server ADDRESS[:PORT]   only this server; may be repeated
      --json                    one JSON object (see docs/json.md)
      --socket PATH             ask the lvsd that listens there (default: $LVSD_SOCKET, or /run/lvsd.sock)
  -h, --help                    this text

A service's quorum is the weight of servers that must live. A server is up while all of its checks are, and out if the scheduler
does not have it.

Examples:
  lvsd status --down
  lvsd status 192.0.2.10:80
  watch -n1 lvsd status --down
  lvsd status --json | jq -r '.services[].servers[] | select(.up | not) | .server'

Exit status, of what is shown (--down leaves out only what would not matter to it): 0 all servers are up; 3 some server is down;
4 some service has no quorum; 1 the daemon cannot be asked, or has nothing of the kind; 2 wrong usage.
";

/// Some server is down.
const DOWN: u8 = 3;

/// Some service has no quorum.
const NO_QUORUM: u8 = 4;

/// Runs `lvsd status` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let options = match understood(NAME, USAGE, Options::parse(args)) {
        Ok(options) => options,
        Err(status) => return status,
    };
    match show(&options) {
        Ok(tally) => ExitCode::from(verdict(&tally)),
        Err(message) => {
            say(NAME, &message);
            ExitCode::from(exit::FAILED)
        }
    }
}

fn show(options: &Options) -> Result<Tally, String> {
    let path = socket_path(options.socket.as_deref());
    let asked = Client::connect(&path).and_then(|mut client| client.status());
    let mut status = asked.map_err(|e| e.to_string())?;
    select::keep(&mut status, &options.services, &options.servers)?;
    let tally = Tally::of(&status);
    if options.down {
        select::keep_down(&mut status);
    }
    let text = match options.json {
        true => format!("{}\n", serde_json::json!(status)),
        false => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            text::shown(&status, &tally, now.map_or(0, |d| d.as_secs()))
        }
    };
    // Whoever closed our output does not want to read on.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(tally)
}

fn verdict(tally: &Tally) -> u8 {
    match (tally.without_quorum, tally.down) {
        (0, 0) => 0,
        (0, _) => DOWN,
        _ => NO_QUORUM,
    }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_the_exit_status() {
        for (without_quorum, down, wanted) in [(0, 0, 0), (0, 2, DOWN), (1, 2, 4), (1, 0, 4)] {
            let tally = Tally {
                without_quorum,
                down,
                ..Tally::default()
            };
            assert_eq!(verdict(&tally), wanted);
        }
    }
}
