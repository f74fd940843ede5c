//! `lvsd explain`: what becomes of a packet, and why.
//!
//! The running director is asked and is not changed by it: what it says is what it would do at that moment, down to the
//! scheduler's next choice.

mod options;
mod text;

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use crate::arguments::{say, understood};
use crate::control::client::{Client, ClientError};
use crate::control::socket_path;
use crate::exit;
use crate::rules::SystemNames;
use options::Options;

const NAME: &str = "explain";

const USAGE: &str = "\
Usage: lvsd explain [OPTION]... CLIENT:PORT VIP:PORT

Says what becomes of a packet from CLIENT to VIP at this moment, and why: the service it belongs to, its connection and
persistence template, or the server that a new connection would go to, with what the scheduler sees of each server.
Nothing is sent and nothing changed.

Options:
  -t, --tcp         a TCP packet, which opens a connection unless there is one (default)
  -u, --udp         a UDP packet
      --sctp        an SCTP packet, likewise
      --interface NAME  the interface it comes in by, where rules for firewall marks ask for one
      --json        the daemon's answer as JSON
      --socket PATH the daemon's socket (default: $LVSD_SOCKET, or else /run/lvsd.sock)
  -h, --help        this text

Addresses and ports may have names; IPv6 is written [2001:db8::1]:80.

Examples:
  lvsd explain 203.0.113.5:50000 192.0.2.10:80
  lvsd explain -u 203.0.113.5:4242 192.0.2.10:domain --json

Exit status: 0 explained, 1 the daemon cannot be asked, 2 wrong usage.
";

/// Runs `lvsd explain` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let read = Options::parse(args, &SystemNames::default());
    let options = match understood(NAME, USAGE, read) {
        Ok(options) => options,
        Err(status) => return status,
    };
    match ask(&options) {
        Ok(answer) => print(&answer),
        Err(e) => failed(&e.to_string()),
    }
}

fn ask(options: &Options) -> Result<String, ClientError> {
    let mut client = Client::connect(&socket_path(options.socket.as_deref()))?;
    let explained = client.explain(options.packet.clone())?;
    Ok(match options.json {
        true => serde_json::to_string(&explained).unwrap_or_default() + "\n",
        false => text::explanation(&explained),
    })
}

fn failed(message: &str) -> ExitCode {
    say(NAME, message);
    ExitCode::from(exit::FAILED)
}

fn print(text: &str) -> ExitCode {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => failed(&format!("cannot write: {e}")),
        _ => ExitCode::SUCCESS,
    }
}
