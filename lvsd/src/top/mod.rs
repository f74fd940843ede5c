//! `lvsd top`: services and servers with their rates, live.
//!
//! What is shown is made by a model that knows neither clock nor socket nor terminal; around it there is little.
//!
//! | module | holds |
//! |---|---|
//! | `options` | the command line |
//! | `model` | what is shown, and what keys do |
//! | `order`, `columns`, `number` | sorting; lines of the table; numbers that fit |
//! | `keys` | what a terminal sends for keys |
//! | `terminal` | a terminal taken and given back |
//! | `live` | keys, signals and the daemon's answers as they come |

mod columns;
mod keys;
mod live;
mod model;
mod number;
mod options;
mod order;
pub(crate) mod terminal;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::arguments::{say, understood};
use crate::control::client::Client;
use crate::control::socket_path;
use crate::exit;
use model::Model;
use options::Options;
use terminal::Size;

const NAME: &str = "top";

const USAGE: &str = "\
Usage: lvsd top [--interval TIME] [--once] [--sort cps|pps|bps|conns|name] [--socket PATH]

Shows the services and servers of a running lvsd with their rates and connections, again and again, on the whole screen.
Without a terminal it shows them once.

Options:
  --interval TIME  ask that often: 1, 500ms, 2s ... (default 1s)
  --once           print everything once, as text
  --sort NAME      sort by new connections (cps), packets (pps) or bits (bps) a second, connections there are (conns),
                   or by name (default cps)
  --socket PATH    ask the lvsd that listens there (default: $LVSD_SOCKET, or /run/lvsd.sock)
  -h, --help       this text

Keys: q quit; s, left and right sort; up, down, page up, page down, home and end scroll; / only what contains a text;
space pause; h help.

Rates are IPVS's estimates: averages that lvsd renews every 2 seconds, as `ipvsadm -L --rate` shows them, with bits
instead of bytes.

Examples:
  lvsd top --sort conns
  watch -n 5 lvsd top --once --sort bps

Exit status: 0 quit, also by Ctrl-C; 1 the daemon or the terminal cannot be used; 2 wrong usage; 129 or 143 stopped by a
signal.
";

/// Runs `lvsd top` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let options = match understood(NAME, USAGE, Options::parse(args)) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let has_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let status = match options.once || !has_terminal {
        true => once(&options),
        false => live::live(&options),
    };
    let status = status.unwrap_or_else(|message| {
        say(NAME, &message);
        exit::FAILED
    });
    ExitCode::from(status)
}

fn once(options: &Options) -> Result<u8, String> {
    let client = Client::connect(&socket_path(options.socket.as_deref()));
    let table = client.and_then(|mut client| client.table());
    let nowhere = Size {
        rows: 0,
        columns: 0,
    };
    let mut model = Model::new(nowhere, options.interval, options.sort);
    model.answered(table.map_err(|e| e.to_string())?);
    let _ = io::stdout().write_all(model.text().as_bytes());
    Ok(0)
}
