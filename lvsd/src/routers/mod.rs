//! `lvsd vrrp`: how virtual routers are, and why.
//!
//! The daemon tells of all of them, in one answer; what is not asked for is left out here.

mod options;
mod select;
pub(crate) mod text;

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::arguments::{say, understood};
use crate::control::client::Client;
use crate::control::socket_path;
use crate::exit;
use crate::vrrp::status::Status;
use options::Options;

const NAME: &str = "vrrp";

const USAGE: &str = "\
Usage: lvsd vrrp [OPTION]... [NAME]...

Shows how the virtual routers are that the running lvsd has from its configuration (the FILE of `lvsd run -f FILE`): which state
each is in, since when and why, what its priority is made of, which neighbours it hears, and what is wrong with them.

NAME is that of a vrrp_instance, or of a vrrp_sync_group, which stands for its members. With several, each of them is shown;
without one, all are.

Options:
      --json         one JSON object (see docs/json.md)
      --socket PATH  ask the lvsd that listens there (default: $LVSD_SOCKET, or /run/lvsd.sock)
  -h, --help         this text

Examples:
  lvsd vrrp
  watch -n1 lvsd vrrp VI_1
  lvsd vrrp --json | jq -r '.routers[] | [.name, .state, .why] | @tsv'

Exit status, of what is shown: 0 no virtual router is in fault; 3 some virtual router is; 1 the daemon cannot be asked, or has
nothing of the kind; 2 wrong usage.
";

/// Some virtual router is in fault.
const FAULT: u8 = 3;

/// Runs `lvsd vrrp` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let options = match understood(NAME, USAGE, Options::parse(args)) {
        Ok(options) => options,
        Err(status) => return status,
    };
    match show(&options) {
        Ok(status) => ExitCode::from(verdict(&status)),
        Err(message) => {
            say(NAME, &message);
            ExitCode::from(exit::FAILED)
        }
    }
}

fn show(options: &Options) -> Result<Status, String> {
    let path = socket_path(options.socket.as_deref());
    let asked = Client::connect(&path).and_then(|mut client| client.vrrp());
    let mut status = asked.map_err(|e| e.to_string())?;
    select::keep(&mut status, &options.names)?;
    let text = match options.json {
        true => format!("{}\n", serde_json::json!(status)),
        false => text::shown(&status),
    };
    // Whoever closed our output does not want to read on.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(status)
}

fn verdict(status: &Status) -> u8 {
    match status.routers.iter().any(|r| r.state == "FAULT") {
        true => FAULT,
        false => 0,
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_the_exit_status() {
        let mut status = testing::status();
        assert_eq!(verdict(&status), FAULT);
        status.routers.retain(|r| r.state != "FAULT");
        assert_eq!(verdict(&status), 0);
        assert_eq!(verdict(&Status::default()), 0);
    }
}
