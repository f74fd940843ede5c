//! `lvsd drain`'s command line: ipvsadm's words for service and server, and options of its own.

use std::time::Duration;

use lvs_core::Endpoint;

use crate::arguments::{Arguments, once};
use crate::control::table::Key;
use crate::rules::{Command, Names, parse_command};
use crate::span;

/// As long as a TCP connection without traffic is remembered, unless somebody has set another time: what is cut then was in
/// use.
const DEADLINE: Duration = Duration::from_secs(900);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) service: Key,
    pub(super) server: Endpoint,
    /// How long to wait; `None` is for ever.
    pub(super) deadline: Option<Duration>,
    pub(super) move_udp: bool,
    pub(super) move_templates: bool,
    pub(super) keep: bool,
    pub(super) json: bool,
    pub(super) socket: Option<String>,
}

impl Options {
    /// `None` if only help is wanted.
    pub(super) fn parse(args: &[String], names: &dyn Names) -> Result<Option<Self>, String> {
        let (mut deadline, mut socket) = (None, None);
        let (mut move_udp, mut move_templates, mut keep, mut json) = (false, false, false, false);
        // What is not ours is ipvsadm's; to it this looks like the command that removes the server.
        let mut words = vec!["-d"];
        let mut args = Arguments::new(args);
        while let Some(name) = args.next_name() {
            match name {
                "-h" | "--help" => return Ok(None),
                "--deadline" => once(&mut deadline, name, read_deadline(args.value()?)?)?,
                "--socket" => once(&mut socket, name, args.value()?.to_owned())?,
                "--move-udp" => move_udp = args.flag()?,
                "--move-templates" => move_templates = args.flag()?,
                "--keep" => keep = args.flag()?,
                "--json" => json = args.flag()?,
                _ => words.push(args.whole()),
            }
        }
        let (service, server) = target(&words, names)?;
        Ok(Some(Self {
            service,
            server,
            deadline: deadline.unwrap_or(Some(DEADLINE)),
            move_udp,
            move_templates,
            keep,
            json,
            socket,
        }))
    }
}

fn read_deadline(text: &str) -> Result<Option<Duration>, String> {
    if text == "never" {
        return Ok(None);
    }
    let read = span::parse(text).map(Some);
    read.ok_or_else(|| {
        format!(
            "--deadline wants {}, or never: {text:?} is none",
            span::FORM
        )
    })
}

/// The service and the server, which ipvsadm's rules of writing them decide.
fn target(words: &[&str], names: &dyn Names) -> Result<(Key, Endpoint), String> {
    let said = |option: &str| format!("{option}; see `lvsd drain --help`");
    match parse_command(words, names) {
        Ok(Command::DeleteServer(service, server)) => Ok((service.into(), server)),
        Ok(_) => Err(said("this is something else than a service and a server")),
        Err(_) if words.len() == 1 => Err(said("which server of which service?")),
        // Of a command that nobody has typed.
        Err(e) => Err(e
            .message
            .replace(" for the 'delete-server' command", "")
            .replace(" with the 'delete-server' command", "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::SystemNames;

    fn parsed(line: &str) -> Result<Option<Options>, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args, &SystemNames::default())
    }

    fn key(text: &str) -> Key {
        lvs_core::ServiceKey::tcp(text.parse().unwrap()).into()
    }

    #[test]
    fn service_and_server_are_written_as_for_ipvsadm() {
        for (line, service, server) in [
            (
                "-t 10.0.0.1:80 -r 10.1.0.1:8080",
                key("10.0.0.1:80"),
                "10.1.0.1:8080",
            ),
            (
                "-t10.0.0.1:80 -r10.1.0.1",
                key("10.0.0.1:80"),
                "10.1.0.1:80",
            ),
            (
                "--tcp-service=10.1:80 --real-server 10.2",
                key("10.0.0.1:80"),
                "10.0.0.2:80",
            ),
            (
                "-t [fd00::1]:80 -r fd00::2",
                key("[fd00::1]:80"),
                "[fd00::2]:80",
            ),
            (
                "-u 10.0.0.1:53 -r 10.1.0.1",
                lvs_core::ServiceKey::udp("10.0.0.1:53".parse().unwrap()).into(),
                "10.1.0.1:53",
            ),
            (
                "-f 7 -6 -r fd00::2",
                lvs_core::ServiceKey::Mark {
                    family: lvs_core::Family::V6,
                    mark: 7,
                }
                .into(),
                "[fd00::2]:0",
            ),
        ] {
            let options = parsed(line).unwrap().unwrap();
            assert_eq!(
                (options.service, options.server),
                (service, server.parse().unwrap()),
                "{line}"
            );
        }
    }

    #[test]
    fn options_of_our_own_stand_anywhere() {
        let line = "--keep -t 10.0.0.1:80 --deadline 2m --move-udp -r 10.1.0.1 --json --socket=/a";
        let options = parsed(line).unwrap().unwrap();
        assert_eq!(options.deadline, Some(Duration::from_secs(120)));
        assert_eq!(options.socket.as_deref(), Some("/a"));
        assert!(options.keep && options.move_udp && options.json && !options.move_templates);
        let options = parsed("-t 10.0.0.1:80 -r 10.1.0.1 --move-templates")
            .unwrap()
            .unwrap();
        assert_eq!(options.deadline, Some(DEADLINE));
        assert!(options.move_templates && !options.keep && !options.move_udp && !options.json);
        let options = parsed("-t 10.0.0.1:80 -r 10.1.0.1 --deadline=never")
            .unwrap()
            .unwrap();
        assert_eq!(options.deadline, None);
        assert!(parsed("-t 10.0.0.1:80 --help").unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, word) in [
            ("", "which server"),
            ("-t 10.0.0.1:80", "'real-server'"),
            ("-r 10.0.0.1:80", "'service-address'"),
            ("-t 10.0.0.1:80 -r 10.1.0.1 -w 3", "'weight'"),
            ("-t 10.0.0.1:x -r 10.1.0.1", "illegal virtual server"),
            ("-t 10.0.0.1:80 -r 10.1.0.1 more", "more"),
            ("-t 10.0.0.1:80 -r 10.1.0.1 --frob", "--frob"),
            ("-t 10.0.0.1:80 -r 10.1.0.1 --deadline", "value"),
            ("-t 10.0.0.1:80 -r 10.1.0.1 --deadline soon", "\"soon\""),
            (
                "-t 10.0.0.1:80 -r 10.1.0.1 --deadline 1 --deadline 2",
                "twice",
            ),
            ("-t 10.0.0.1:80 -r 10.1.0.1 --keep=1", "takes no value"),
            ("-t 10.0.0.1:80 -r 10.1.0.1 --socket", "value"),
        ] {
            let message = parsed(line).unwrap_err();
            assert!(message.contains(word), "{line:?}: {message}");
            assert!(!message.contains("delete-server"), "{line:?}: {message}");
        }
    }
}
