//! `lvsd status`'s command line.

use crate::arguments::{Arguments, once};
use crate::control::conns::ServerAddress;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Words that name services; none: all.
    pub(super) services: Vec<String>,
    /// None: all.
    pub(super) servers: Vec<ServerAddress>,
    pub(super) down: bool,
    pub(super) json: bool,
    pub(super) socket: Option<String>,
}

impl Options {
    /// `None` if only help is wanted.
    pub(super) fn parse(args: &[String]) -> Result<Option<Self>, String> {
        let mut options = Self::default();
        let mut args = Arguments::new(args);
        while let Some(name) = args.next_name() {
            match name {
                "-h" | "--help" => return Ok(None),
                "--down" => options.down = args.flag()?,
                "--json" => options.json = args.flag()?,
                "--socket" => once(&mut options.socket, name, args.value()?.to_owned())?,
                "-r" | "--server" => {
                    let text = args.value()?;
                    let server = text.parse().map_err(|e| format!("{text:?} is {e}"))?;
                    options.servers.push(server);
                }
                _ if name.starts_with('-') => return Err(args.unknown()),
                _ => options.services.push(args.whole().to_owned()),
            }
        }
        Ok(Some(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Options>, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    #[test]
    fn words_are_services() {
        let options =
            parsed("--down web --json -r 10.0.0.1 192.0.2.1:80 --server=[fd00::1]:8 --socket s");
        let options = options.unwrap().unwrap();
        assert_eq!(options.services, ["web", "192.0.2.1:80"]);
        let servers: Vec<String> = options.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.1", "[fd00::1]:8"]);
        assert!(options.down && options.json && options.socket.as_deref() == Some("s"));
        assert_eq!(parsed("").unwrap(), Some(Options::default()));
        assert_eq!(parsed("web -h").unwrap(), None);
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (line, word) in [
            ("--frob", "--frob"),
            ("-r", "value"),
            ("-r web", "\"web\""),
            ("--down=1", "no value"),
            ("--socket a --socket b", "twice"),
        ] {
            let e = parsed(line).unwrap_err();
            assert!(e.contains(word), "{line:?}: {e}");
        }
    }
}
