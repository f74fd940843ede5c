//! `lvsd completions`: what shells offer when Tab is pressed.
//!
//! The scripts for the shells are small: for every Tab they ask `lvsd completions --for WORD...` what may stand where the last
//! word is. So all shells offer the same, and what they offer is the grammar itself and what the running daemon has.
//!
//! | module | holds |
//! |---|---|
//! | `subcommands` | the options of lvsd's own commands |
//! | `candidates` | what may stand there |
//! | `live` | services and servers of the running daemon |

mod candidates;
mod live;
mod subcommands;

use std::io::{self, Write as _};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: lvsd completions bash|zsh|fish
       lvsd completions --for WORD...

Prints the script that makes the shell complete lvsd, ipvsadm, ipvsadm-save and ipvsadm-restore: commands, options,
schedulers, and services and servers of the running daemon.

  bash  lvsd completions bash > /etc/bash_completion.d/lvsd
  zsh   lvsd completions zsh > /usr/local/share/zsh/site-functions/_lvsd
  fish  lvsd completions fish > /etc/fish/completions/lvsd.fish

Options:
  --for WORD...  what may stand where the last word is, one a line, with a tab before what it means; exit status 3:
                 the name of a file
  -h, --help     this text
";

/// The exit status that says that a file's name is wanted.
const FILE: u8 = 3;

/// Runs `lvsd completions` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["bash"] => print(include_str!("../../completions/lvsd.bash")),
        ["zsh"] => print(include_str!("../../completions/lvsd.zsh")),
        ["fish"] => print(include_str!("../../completions/lvsd.fish")),
        ["--for", words @ ..] => offer(words),
        ["-h" | "--help"] => print(USAGE),
        _ => {
            let _ = io::stderr().write_all(USAGE.as_bytes());
            ExitCode::from(2)
        }
    }
}

fn offer(words: &[&str]) -> ExitCode {
    match candidates::of(words) {
        candidates::Offer::File => ExitCode::from(FILE),
        candidates::Offer::Words(words) => {
            let lines = words.iter().map(|c| format!("{}\t{}\n", c.word, c.about));
            print(&lines.collect::<String>())
        }
    }
}

fn print(text: &str) -> ExitCode {
    // Whoever closed our output does not want to know.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
