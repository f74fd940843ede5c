//! The `lvsd` command.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: lvsd COMMAND [OPTION]...

A complete Linux Virtual Server in user space: balances TCP and UDP at layer 4 without a kernel module.

Commands:
  run          forward in the foreground
  check        say what is wrong with a keepalived.conf, before anything runs with it
  help-config  say what can be written into a keepalived.conf, and what it means
  status       how services, servers and checks are
  vrrp         how virtual routers are: who is master, and why
  reload       have the running daemon read its keepalived.conf anew, or say what that would change
  genhash      the digest of a page, for HTTP_GET and SSL_GET
  adm          ipvsadm for the running daemon; the same when called by the name ipvsadm
  explain      say what becomes of a packet, and why: its service, connection, server
  conns        show connections of the running daemon, by service, server, client, state
  drain        take a server out of service without losing what it is doing
  top          services and servers with their rates, live
  demo         show it: a virtual LAN on this machine, real traffic through every forwarding method
  replay       show what the director does with recorded traffic, and why; nothing is sent
  completions  a script for bash, zsh or fish that completes command lines

`lvsd COMMAND --help` says more.
";

fn main() -> ExitCode {
    let mut args = std::env::args_os().map(|a| a.to_string_lossy().into_owned());
    let program = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    let name = Path::new(&program).file_name();
    match name.and_then(OsStr::to_str) {
        Some("ipvsadm") => lvsd::adm::run(&program, &args),
        Some("ipvsadm-save") => lvsd::adm::run_save(&args),
        Some("ipvsadm-restore") => lvsd::adm::run_restore(&args),
        _ => subcommand(&program, &args),
    }
}

fn subcommand(program: &str, args: &[String]) -> ExitCode {
    match args.split_first() {
        Some((command, rest)) => match command.as_str() {
            "run" => lvsd::run::run(rest),
            // What it starts of itself; no command for people.
            lvsd::vrrp::guardian::COMMAND => lvsd::vrrp::guardian::body::run(),
            "check" => lvsd::check::run(rest),
            "help-config" => lvsd::help_config::run(rest),
            "reload" => lvsd::reload::run(rest),
            "status" => lvsd::status::run(rest),
            "vrrp" => lvsd::routers::run(rest),
            "genhash" => lvsd::genhash::run(rest),
            "conns" => lvsd::conns::run(rest),
            "explain" => lvsd::explain::run(rest),
            "adm" => lvsd::adm::run_ours(program, rest),
            "drain" => lvsd::drain::run(rest),
            "top" => lvsd::top::run(rest),
            "demo" => lvsd::demo::run(rest),
            "replay" => lvsd::replay::run(rest),
            "completions" => lvsd::completions::run(rest),
            "-h" | "--help" | "help" => {
                // Whoever closed our output does not want to read on.
                let _ = io::stdout().write_all(USAGE.as_bytes());
                ExitCode::SUCCESS
            }
            "-V" | "--version" => {
                let _ = writeln!(io::stdout(), "lvsd {}", env!("CARGO_PKG_VERSION"));
                ExitCode::SUCCESS
            }
            other => {
                let _ = writeln!(
                    io::stderr(),
                    "lvsd: there is no command {other:?}\n\n{USAGE}"
                );
                ExitCode::from(2)
            }
        },
        None => {
            let _ = io::stderr().write_all(USAGE.as_bytes());
            ExitCode::from(2)
        }
    }
}
