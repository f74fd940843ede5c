//! `lvsd vrrp`'s command line.

use crate::arguments::{Arguments, once};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Virtual routers and sync groups; none: all.
    pub(super) names: Vec<String>,
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
                "--json" => options.json = args.flag()?,
                "--socket" => once(&mut options.socket, name, args.value()?.to_owned())?,
                _ if name.starts_with('-') => return Err(args.unknown()),
                _ => options.names.push(args.whole().to_owned()),
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
    fn words_are_names() {
        let options = parsed("VI_1 --json G=1 --socket=s").unwrap().unwrap();
        assert_eq!(options.names, ["VI_1", "G=1"]);
        assert!(options.json && options.socket.as_deref() == Some("s"));
        assert_eq!(parsed("").unwrap(), Some(Options::default()));
        assert_eq!(parsed("VI_1 -h --frob").unwrap(), None);
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (line, word) in [
            ("--frob", "--frob"),
            ("-x", "-x"),
            ("--json=1", "no value"),
            ("--socket", "value"),
            ("--socket a --socket b", "twice"),
        ] {
            let e = parsed(line).unwrap_err();
            assert!(e.contains(word), "{line:?}: {e}");
        }
    }
}
