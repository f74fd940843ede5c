//! Lines about the director as a whole: `--set`, and IPVS's settings as in files of sysctl.d.

use lvs_core::Sysctls;
use lvs_core::sysctl::SysctlError;

use super::SetTimeouts;
use super::command_line::CommandLine;
use super::problem::{Problem, quoted};
use super::service::seconds;
use super::words::Word;

/// Where the names of IPVS's settings begin.
pub(super) const PREFIX: &str = "net.ipv4.vs.";

/// What such lines have said so far.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) timeouts: SetTimeouts,
    pub(super) sysctls: Sysctls,
    /// What has been set, and in which line.
    lines: Vec<(String, usize)>,
}

/// Whether a line is one of sysctl.d, and not a command.
pub(super) fn is_sysctl(words: &[Word<'_>]) -> bool {
    let Some(first) = words.first() else {
        return false;
    };
    let has_value =
        first.text.contains('=') || words.get(1).is_some_and(|w| w.text.starts_with('='));
    !first.text.starts_with('-') && (has_value || first.text.starts_with("net."))
}

impl Settings {
    /// Takes in a line `net.ipv4.vs.NAME = VALUE`.
    pub(super) fn sysctl(&mut self, words: &[Word<'_>]) -> Result<(), Problem> {
        let setting = split(words)?;
        let name = setting.name()?;
        self.once(name, setting.left)?;
        setting.set(&mut self.sysctls)
    }

    /// Takes in a line `--set TCP TCPFIN UDP`.
    pub(super) fn timeouts(&mut self, line: &CommandLine<'_>) -> Result<(), Problem> {
        let &[tcp, tcp_fin, udp] = line.values.as_slice() else {
            let help = "write the timeouts of TCP, TCP after FIN, and UDP; 0 keeps the default";
            return Err(Problem::at(
                line.at,
                "`--set` needs three numbers of seconds",
                help,
            ));
        };
        self.once("--set", line.at)?;
        self.timeouts = SetTimeouts {
            tcp: seconds(tcp, 0)?,
            tcp_fin: seconds(tcp_fin, 0)?,
            udp: seconds(udp, 0)?,
        };
        Ok(())
    }

    fn once(&mut self, what: &str, at: Word<'_>) -> Result<(), Problem> {
        if let Some((_, line)) = self.lines.iter().find(|(other, _)| other == what) {
            let message = format!("{} is set already", quoted(what));
            let help = format!("line {line} sets it; take one of the two out");
            return Err(Problem::at(at, message, help));
        }
        self.lines.push((what.to_owned(), at.line));
        Ok(())
    }
}

/// Reads a line `net.ipv4.vs.NAME = VALUE` for itself: NAME and VALUE.
pub(super) fn read(words: &[Word<'_>]) -> Result<(String, String), Problem> {
    let setting = split(words)?;
    let name = setting.name()?.to_owned();
    setting.set(&mut Sysctls::default())?;
    Ok((name, setting.value))
}

/// The two sides of a line's `=`.
struct Setting<'a> {
    left: Word<'a>,
    /// What is right of it, which may be several words.
    value: String,
    /// The first of these words.
    right: Word<'a>,
}

impl<'a> Setting<'a> {
    /// The setting's name among IPVS's.
    fn name(&self) -> Result<&'a str, Problem> {
        self.left.text.strip_prefix(PREFIX).ok_or_else(|| {
            let message = format!("{} is no setting of lvsd", quoted(self.left.text));
            let help = "settings are those of IPVS: `net.ipv4.vs.NAME = VALUE`";
            Problem::at(self.left, message, help)
        })
    }

    fn set(&self, sysctls: &mut Sysctls) -> Result<(), Problem> {
        let name = self.name()?;
        sysctls.set(name, &self.value).map_err(|error| {
            let place = match error {
                SysctlError::BadValue(_) => self.right,
                _ => self.left,
            };
            let message = format!("{}: {error}", quoted(name));
            let help = "docs/rules.md lists the settings and their values";
            Problem::at(place, message, help)
        })
    }
}

/// Takes a line apart at its `=`.
fn split<'a>(words: &[Word<'a>]) -> Result<Setting<'a>, Problem> {
    let help = "write `net.ipv4.vs.NAME = VALUE`";
    let end = words.last().copied().unwrap_or_default();
    let end = end.tail(end.text.len());
    let (&first, rest) = words
        .split_first()
        .ok_or_else(|| Problem::at(end, "no setting", help))?;
    let (left, right, rest) = match (first.split_once('='), rest.split_first()) {
        (Some((left, right)), _) => (left, right, rest),
        (None, Some((second, rest))) => match second.strip_prefix("=") {
            Some(right) => (first, right, rest),
            None => return Err(Problem::at(*second, "expected `=`", help)),
        },
        (None, None) => return Err(Problem::at(end, "expected `=`", help)),
    };
    let values: Vec<_> = [right]
        .iter()
        .chain(rest)
        .filter(|w| !w.text.is_empty())
        .copied()
        .collect();
    let right = *values
        .first()
        .ok_or_else(|| Problem::at(end, "the value is missing", help))?;
    let texts: Vec<_> = values.iter().map(|w| w.text).collect();
    Ok(Setting {
        left,
        value: texts.join(" "),
        right,
    })
}
