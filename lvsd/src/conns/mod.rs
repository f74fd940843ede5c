//! `lvsd conns`: the connections of a running director.
//!
//! There may be millions. So the daemon looks for those that are asked for and counts them, and what it tells is shown as it
//! comes; who has read enough (`| head`) ends it.

mod options;
pub(crate) mod text;

use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;

use serde::Serialize;

use crate::arguments::{say, understood};
use crate::control::client::{Client, ClientError};
use crate::control::socket_path;
use crate::exit;
use crate::rules::SystemNames;
use options::Options;

const NAME: &str = "conns";

const USAGE: &str = "\
Usage: lvsd conns [-t|-u|--sctp-service VIP:PORT | -f MARK [-6]] [OPTION]...

Shows connections and persistence templates of the running director, in no particular order, from the first one found on.
With several options, those that all of them fit.

Which:
  -t, --tcp-service VIP:PORT   opened by this service; also -u, --udp-service and --sctp-service
  -f, --fwmark-service MARK    opened by the service of this firewall mark; with -6, --ipv6 by that for IPv6
  -r, --server ADDRESS[:PORT]  to this real server
      --client PREFIX          of clients under this prefix: 10.0.0.0/8, 2001:db8::1
      --state STATE[,STATE]... in one of these states: ESTABLISHED, FIN_WAIT, ... (ASSURED or NONE of templates)
      --protocol PROTOCOL      tcp, udp, sctp, or ip (templates of firewall marks)
      --templates              only persistence templates
      --no-templates           only connections
      --limit N                at most so many

How:
      --count                  only how many there are, by service, server and state
      --json                   a JSON object for each, one a line
  -n, --numeric                nothing: addresses and ports are always numbers
      --socket PATH            the daemon's socket (default: $LVSD_SOCKET, or else /run/lvsd.sock)
  -h, --help                   this text

The first six columns are those of `ipvsadm -Lnc`. Then come FullNAT's local end, how packets are forwarded, how many
have come from the client, and the service, as ipvsadm's options name it.

Examples:
  lvsd conns -t 192.0.2.10:80 --state ESTABLISHED --client 203.0.113.0/24
  lvsd conns -r 10.0.0.11 --count
  lvsd conns --templates --json | jq -r .client

Exit status: 0 shown, 1 the daemon cannot be asked, 2 wrong usage.
";

/// Runs `lvsd conns` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let read = Options::parse(args, &SystemNames::default());
    let options = match understood(NAME, USAGE, read) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let message = match show(options) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Trouble::Output(e)) if e.kind() == ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Err(Trouble::Output(e)) => format!("cannot write: {e}"),
        Err(Trouble::Daemon(e)) => e.to_string(),
    };
    say(NAME, &message);
    ExitCode::from(exit::FAILED)
}

/// Why not all is shown.
enum Trouble {
    Daemon(ClientError),
    Output(io::Error),
}

impl From<ClientError> for Trouble {
    fn from(e: ClientError) -> Self {
        Self::Daemon(e)
    }
}

impl From<io::Error> for Trouble {
    fn from(e: io::Error) -> Self {
        Self::Output(e)
    }
}

fn show(options: Options) -> Result<(), Trouble> {
    let Options {
        filter,
        count,
        json,
        socket,
    } = options;
    let mut client = Client::connect(&socket_path(socket.as_deref()))?;
    let mut out = BufWriter::new(io::stdout().lock());
    if count {
        let counts = client.count(filter)?;
        match json {
            true => counts.iter().try_for_each(|c| write_json(&mut out, c))?,
            false => out.write_all(text::counts(&counts).as_bytes())?,
        }
        return Ok(out.flush()?);
    }
    if !json {
        writeln!(out, "{}", text::HEADER.trim_end())?;
    }
    let mut written = Ok(());
    client.connections(filter, |part| {
        let line = |out: &mut BufWriter<_>, conn| match json {
            true => write_json(out, conn),
            false => writeln!(out, "{}", text::connection(conn)),
        };
        let lines = part.iter().try_for_each(|conn| line(&mut out, conn));
        written = lines.and_then(|()| out.flush());
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    written?;
    Ok(out.flush()?)
}

fn write_json(out: &mut impl io::Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
