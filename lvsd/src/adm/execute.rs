//! Carrying out ipvsadm's commands.
//!
//! What is wrong with a command by itself, ipvsadm finds ([`crate::rules::parse_command`]). What is wrong with it as
//! things stand (the service exists already, there is no such destination) the kernel finds, in an order of its own,
//! and ipvsadm puts it into words and exits with 255. Here it is found in the same order and said in the same
//! words. A command is carried out whole or not at all.

use std::time::Duration;

use lvs_core::sched::Scheduler;
use lvs_core::{ConfigError, Director, Draft, Ip, ServiceKey};
use lvs_sched::Flags;

use crate::exit::REFUSED;
use crate::rules::{
    Command, CommandError, MarkRule, Names, ServerRule, ServiceRule, SetTimeouts, parse_command,
};

/// Reads and carries out one command, given as ipvsadm's arguments.
///
/// # Errors
///
/// What ipvsadm would say, and its exit status; then nothing has changed.
pub fn run(director: &Director, words: &[&str], names: &dyn Names) -> Result<(), CommandError> {
    execute(director, &parse_command(words, names)?)
}

/// Carries out one command.
///
/// # Errors
///
/// Why the kernel would refuse it, in ipvsadm's words, with exit status 255; then nothing has changed.
pub fn execute(director: &Director, command: &Command) -> Result<(), CommandError> {
    if let Command::Zero(key) = command {
        if let Some(key) = key.filter(|k| director.config().service(k).is_none()) {
            return Err(refused(command, ConfigError::NoSuchService(key).into()));
        }
        director.zero(key.as_ref());
        return Ok(());
    }
    // Who asks has no use for marks.
    let marks = &mut Vec::new();
    let changed = director.edit(|draft| change(draft, marks, command));
    changed.map_err(|fault| refused(command, fault))
}

/// Makes one command's change to the draft, or to the rules for marks. Statistics are none of its business.
pub(crate) fn change(
    draft: &mut Draft<'_>,
    marks: &mut Vec<MarkRule>,
    command: &Command,
) -> Result<(), Fault> {
    match command {
        Command::AddService(rule) => {
            if draft.service(&rule.key).is_some() {
                return Err(ConfigError::ServiceExists(rule.key).into());
            }
            draft.add_service(rule.key, scheduler(rule)?, rule.options.clone())?;
        }
        Command::EditService(rule) => edit_service(draft, rule)?,
        Command::DeleteService(key) => draft.remove_service(*key)?,
        Command::AddServer(key, server) => {
            check_server(draft, *key, server)?;
            if !is_unicast(server.addr.ip) {
                return Err(Fault::NotUnicast);
            }
            draft.add_dest(*key, server.addr, &server.options)?;
        }
        Command::EditServer(key, server) => {
            check_server(draft, *key, server)?;
            draft.edit_dest(*key, server.addr, &server.options)?;
        }
        Command::DeleteServer(key, addr) => draft.remove_dest(*key, *addr)?,
        Command::Flush => {
            for key in draft.keys() {
                draft.remove_service(key)?;
            }
        }
        Command::SetTimeouts(seconds) => set_timeouts(draft, *seconds),
        Command::Zero(Some(key)) if draft.service(key).is_none() => {
            return Err(ConfigError::NoSuchService(*key).into());
        }
        Command::Zero(_) => {}
        Command::Setting { name, value } => set_sysctl(draft, name, value)?,
        Command::Mark(rule) => match marks.iter().any(|other| other.is_about_same(rule)) {
            false => marks.push(rule.clone()),
            true => return Err(Fault::Marked),
        },
        Command::Unmark(rule) => match marks.iter().position(|other| other == rule) {
            Some(place) => drop(marks.remove(place)),
            None => return Err(Fault::NoSuchMark),
        },
        Command::ClearMarks => marks.clear(),
        Command::StartDaemon(_) | Command::StopDaemon(_) => return Err(Fault::NoSync),
        Command::List(_)
        | Command::Save { .. }
        | Command::Restore { .. }
        | Command::Help
        | Command::Version => return Err(Fault::NoChange),
    }
    Ok(())
}

/// Another scheduler, or other flags of it, start afresh; the same goes on where it stands.
fn edit_service(draft: &mut Draft<'_>, rule: &ServiceRule) -> Result<(), Fault> {
    let old = draft
        .service(&rule.key)
        .ok_or(ConfigError::NoSuchService(rule.key))?;
    let stays = rule.unknown_engine.is_none()
        && old.scheduler().name() == rule.scheduler
        && old.scheduler().flags() == rule.flags.names(&rule.scheduler);
    if !stays {
        draft.set_scheduler(rule.key, scheduler(rule)?)?;
    }
    draft.set_options(rule.key, rule.options.clone())?;
    Ok(())
}

/// The scheduler, if that and the persistence engine exist: the kernel asks for both in one.
fn scheduler(rule: &ServiceRule) -> Result<Box<dyn Scheduler>, Fault> {
    if rule.unknown_engine.is_some() {
        return Err(Fault::NoScheduler);
    }
    let flags = Flags::from_bits(rule.flags.bits());
    lvs_sched::build_with(&rule.scheduler, flags).ok_or(Fault::NoScheduler)
}

/// What the kernel looks at before it looks for the server.
fn check_server(draft: &Draft<'_>, key: ServiceKey, server: &ServerRule) -> Result<(), Fault> {
    if draft.service(&key).is_none() {
        return Err(ConfigError::NoSuchService(key).into());
    }
    let options = &server.options;
    if options.lower > options.upper {
        return Err(ConfigError::BadThresholds(key, server.addr).into());
    }
    Ok(())
}

/// Whether a packet can be sent to this one host.
fn is_unicast(ip: Ip) -> bool {
    !ip.is_multicast() && !ip.is_unspecified() && !ip.is_link_local_v6()
}

fn set_timeouts(draft: &mut Draft<'_>, set: SetTimeouts) {
    let seconds = |n: u32| Duration::from_secs(n.into());
    let mut timeouts = *draft.timeouts();
    timeouts.set(seconds(set.tcp), seconds(set.tcp_fin), seconds(set.udp));
    draft.set_timeouts(timeouts);
}

fn set_sysctl(draft: &mut Draft<'_>, name: &str, value: &str) -> Result<(), Fault> {
    let mut sysctls = draft.sysctls().clone();
    let set = sysctls.set(name, value);
    set.map_err(|e| Fault::Setting(format!("`{name}': {e}")))?;
    draft.set_sysctls(sysctls);
    Ok(())
}

/// What stands in the way of a change.
#[derive(Debug)]
pub(crate) enum Fault {
    Config(ConfigError),
    NoScheduler,
    NotUnicast,
    Setting(String),
    Marked,
    NoSuchMark,
    NoSync,
    NoChange,
}

impl From<ConfigError> for Fault {
    fn from(e: ConfigError) -> Self {
        Self::Config(e)
    }
}

impl Fault {
    /// ipvsadm's name for the option whose value is at fault, if one is.
    pub(crate) const fn about(&self) -> Option<&'static str> {
        match self {
            Self::NoScheduler => Some("scheduler"),
            Self::NotUnicast => Some("real-server"),
            Self::Config(e) => match e {
                ConfigError::ServiceExists(_) | ConfigError::NoSuchService(_) => {
                    Some("service-address")
                }
                ConfigError::DestinationExists(..)
                | ConfigError::NoSuchDestination(..)
                | ConfigError::FamilyMismatch(..) => Some("real-server"),
                ConfigError::BadThresholds(..) => Some("l-threshold"),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The fault in ipvsadm's words, which depend on the command.
pub(crate) fn refused(command: &Command, fault: Fault) -> CommandError {
    use Command::{AddServer, DeleteServer, EditServer};
    let about_server = matches!(command, AddServer(..) | EditServer(..) | DeleteServer(..));
    let message = match fault {
        Fault::NoScheduler => "Scheduler or persistence engine not found".to_owned(),
        Fault::NotUnicast => INVALID.to_owned(),
        Fault::Setting(message) => message,
        Fault::Marked => "Rule for these packets already exists".to_owned(),
        Fault::NoSuchMark => "No such rule for marks".to_owned(),
        Fault::NoSync => "connection synchronisation is not supported yet".to_owned(),
        Fault::NoChange => "this command changes nothing".to_owned(),
        Fault::Config(e) => match e {
            ConfigError::ServiceExists(_) => "Service already exists".to_owned(),
            ConfigError::NoSuchService(_) if about_server => "Service not defined".to_owned(),
            ConfigError::NoSuchService(_) => "No such service".to_owned(),
            ConfigError::DestinationExists(..) => "Destination already exists".to_owned(),
            ConfigError::NoSuchDestination(..) => "No such destination".to_owned(),
            ConfigError::BadThresholds(..) | ConfigError::WeightTooLarge(_) => {
                "Numerical result out of range".to_owned()
            }
            ConfigError::ZeroMark
            | ConfigError::ProtocolNotBalanced(_)
            | ConfigError::BadPersistence(_)
            | ConfigError::NoTunnelPort(..)
            | ConfigError::FamilyMismatch(..) => INVALID.to_owned(),
            // Of what ipvsadm does not know.
            other => other.to_string(),
        },
    };
    CommandError::new(REFUSED, message)
}

const INVALID: &str = "Invalid operation.  Possibly wrong module version, address not unicast, ...";

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use lvs_core::state::State;
    use lvs_core::{Protocol, Settings};

    use super::*;
    use crate::adm::listing::{self, Layout};
    use crate::control::table::Service;
    use crate::rules::What;

    #[derive(Debug)]
    struct NoNames;

    impl Names for NoNames {
        fn has_scheduler(&self, name: &str) -> bool {
            lvs_sched::build(name).is_some()
        }
        fn host(&self, _: &str) -> Result<Ipv4Addr, String> {
            Err("no names here".to_owned())
        }
        fn port(&self, _: &str, _: Protocol) -> Option<u16> {
            None
        }
    }

    fn adm(director: &Director, line: &str) -> (u8, String) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match run(director, &words, &NoNames) {
            Ok(()) => (0, String::new()),
            Err(e) => (e.exit, e.message),
        }
    }

    /// Each line with what the kernel and ipvsadm say to it.
    #[test]
    fn refusals_are_ipvsadms() {
        let d = Director::new(&Settings::default());
        for (line, exit, said) in [
            ("-A -t 10.0.0.1:80 -s rr", 0, ""),
            ("-A -t 10.0.0.1:80 -s nosuch", 255, "Service already exists"),
            ("-A -t 10.0.0.1:80 --pe x", 255, "Service already exists"),
            ("-E -t 10.0.0.1:81 --pe x", 255, "No such service"),
            (
                "-A -t 10.0.0.1:81 --pe x",
                255,
                "Scheduler or persistence engine not found",
            ),
            (
                "-E -t 10.0.0.1:80 -s rr -p --pe x",
                255,
                "Scheduler or persistence engine not found",
            ),
            (
                "-A -t 10.0.0.1:81 -s nosuch",
                255,
                "Scheduler or persistence engine not found",
            ),
            (
                "-E -t 10.0.0.1:80 -s nosuch",
                255,
                "Scheduler or persistence engine not found",
            ),
            ("-E -t 10.0.0.1:81 -s nosuch", 255, "No such service"),
            ("-D -t 10.0.0.1:81", 255, "No such service"),
            ("-Z -t 10.0.0.1:81", 255, "No such service"),
            (
                "-a -t 10.0.0.1:81 -r 10.1.0.1:80 -x 1 -y 2",
                255,
                "Service not defined",
            ),
            (
                "-e -t 10.0.0.1:80 -r 224.0.0.1:80",
                255,
                "No such destination",
            ),
            (
                "-e -t 10.0.0.1:81 -r 10.1.0.1:80",
                255,
                "Service not defined",
            ),
            (
                "-d -t 10.0.0.1:81 -r 10.1.0.1:80",
                255,
                "Service not defined",
            ),
            ("-a -t 10.0.0.1:80 -r 10.1.0.1:80", 0, ""),
            (
                "-a -t 10.0.0.1:80 -r 10.1.0.1:80",
                255,
                "Destination already exists",
            ),
            (
                "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -x 3 -y 5",
                255,
                "Numerical result out of range",
            ),
            (
                "-e -t 10.0.0.1:80 -r 10.1.0.2:80 -y 5",
                255,
                "Numerical result out of range",
            ),
            (
                "-e -t 10.0.0.1:80 -r 10.1.0.2:80",
                255,
                "No such destination",
            ),
            (
                "-d -t 10.0.0.1:80 -r 10.1.0.2:80",
                255,
                "No such destination",
            ),
            ("-a -t 10.0.0.1:80 -r 224.0.0.1:80", 255, INVALID),
            ("-a -t 10.0.0.1:80 -r 0.0.0.0:80", 255, INVALID),
            (
                "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -w -1",
                2,
                "illegal weight specified",
            ),
        ] {
            assert_eq!(adm(&d, line), (exit, said.to_owned()), "{line}");
        }
        assert_eq!(d.config().services().len(), 1);
        assert_eq!(d.config().services()[0].dests().len(), 1);
        assert_eq!(d.config().services()[0].options().persistence, None);
    }

    /// Commands of one edit: what is said to each, and the rules for marks that come of it.
    fn edit(director: &Director, lines: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut marks = Vec::new();
        let mut said = Vec::new();
        let edited: Result<(), ConfigError> = director.edit(|draft| {
            for line in lines {
                let words: Vec<&str> = line.split_whitespace().collect();
                let command = parse_command(&words, &NoNames).expect(line);
                let refusal = change(draft, &mut marks, &command).map_err(|f| refused(&command, f));
                said.push(refusal.map_or_else(|e| e.message, |()| String::new()));
            }
            Ok(())
        });
        edited.unwrap();
        let marks = marks.iter().map(|m| m.to_string().trim_end().to_owned());
        (said, marks.collect())
    }

    #[test]
    fn marks_are_added_behind_and_deleted_exactly() {
        let d = Director::new(&Settings::default());
        let (said, marks) = edit(
            &d,
            &[
                "--mark 9",
                "--clear-marks",
                "--mark 1 --source 10.0.0.0/8",
                "--mark 2 --destination 10.0.0.1",
                "--mark 3 --source 10.0.0.0/8",
                "--unmark 3 --source 10.0.0.0/8",
                "--unmark 1",
                "--mark 4 --interface eth0",
                "--mark 4 --interface eth1",
                "--unmark 2 --destination 10.0.0.1",
            ],
        );
        let no_such = "No such rule for marks";
        let exists = "Rule for these packets already exists";
        assert_eq!(said, ["", "", "", "", exists, no_such, no_such, "", "", ""]);
        assert_eq!(
            marks,
            [
                "--mark 1 --source 10.0.0.0/8",
                "--mark 4 --interface eth0",
                "--mark 4 --interface eth1"
            ]
        );
    }

    #[test]
    fn a_command_sees_what_those_before_it_did() {
        let d = Director::new(&Settings::default());
        let (said, _) = edit(
            &d,
            &[
                "-Z -f 3",
                "-A -f 3",
                "-Z -f 3",
                "net.ipv4.vs.drop_entry = 2",
                "-C",
                "-Z -f 3",
                "--start-daemon master",
                "--stop-daemon backup",
                "-Ln",
                "-R",
            ],
        );
        let no_sync = "connection synchronisation is not supported yet";
        let no_change = "this command changes nothing";
        let gone = "No such service";
        assert_eq!(
            said,
            [
                gone, "", "", "", "", gone, no_sync, no_sync, no_change, no_change
            ]
        );
        assert_eq!(d.config().sysctls().drop_entry, 2);
    }

    #[test]
    fn commands_change_what_they_name() {
        let d = Director::new(&Settings::default());
        let ok = |line: &str| assert_eq!(adm(&d, line), (0, String::new()), "{line}");
        ok("-A -t 10.0.0.1:80 -s rr -p 60");
        ok("-a -t 10.0.0.1:80 -r 10.1.0.1 -m -w 3");
        ok("-a -t 10.0.0.1:80 -r 10.1.0.2 -m");
        ok("-e -t 10.0.0.1:80 -r 10.1.0.1 -w 9");
        ok("-E -t 10.0.0.1:80 -s wrr");
        ok("-A -f 3 -s lc");
        ok("--set 10 0 30");
        let mut services = Service::all(&d.config());
        listing::sort(&mut services);
        let lines = listing::lines(&services, &Layout::numeric(What::Services));
        let heads: Vec<&str> = lines.iter().map(|l| l.trim_end()).collect();
        assert_eq!(
            heads,
            [
                "TCP  10.0.0.1:80 wrr",
                "  -> 10.1.0.1:80                  Route   9      0          0",
                "  -> 10.1.0.2:80                  Masq    1      0          0",
                "FWM  3 lc",
            ]
        );
        let config = d.config();
        let seconds = |s| config.timeouts().of(s).as_secs();
        assert_eq!(
            [State::Established, State::FinWait, State::Udp].map(seconds),
            [10, 120, 30]
        );
        ok("-D -f 3");
        ok("-C");
        assert!(d.config().services().is_empty());
    }

    #[test]
    fn the_same_scheduler_goes_on_where_it_stands() {
        let d = Director::new(&Settings::default());
        adm(&d, "-A -t 10.0.0.1:80 -s rr");
        adm(&d, "-a -t 10.0.0.1:80 -r 10.1.0.1 -m");
        adm(&d, "-a -t 10.0.0.1:80 -r 10.1.0.2 -m");
        let packet = lvs_core::Segment::new(
            Protocol::TCP,
            "10.2.0.1:1024".parse().unwrap(),
            "10.0.0.1:80".parse().unwrap(),
        );
        let pick = || {
            let config = d.config();
            let service = config.services()[0].clone();
            let arrival = lvs_core::sched::Arrival::new(&packet, lvs_core::Time::default());
            service.scheduler().pick(service.dests(), &arrival).unwrap()
        };
        let first = pick();
        adm(&d, "-E -t 10.0.0.1:80 -s rr -p 50");
        assert_ne!(pick(), first, "the next one's turn");
    }
}
