//! What is said about virtual routers: in the log, to scripts, into pipes, by mail.
//!
//! The words and arguments are keepalived's, since people's tools look for them. The log says besides why something is so, and what
//! to do about a neighbour that is set up otherwise. Scripts get variables besides, which keepalived's do not have.

use std::collections::HashMap;

use lvs_vrrp::event::{Output, State, Why};

use crate::alerts::{Alert, Line, LineKind, Mail, Script};
use crate::health::Said;
use crate::keepalived::model::{Command, Instance, Notify, SyncGroup, Vrrp};

/// Knows what was told last.
#[derive(Debug, Default)]
pub(super) struct Teller {
    /// The last thing that a mail said, by what it was about.
    mailed: HashMap<String, &'static str>,
}

/// A virtual router that something has happened to.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) instance: &'a Instance,
    /// Whether it is master, after what has happened.
    pub(super) master: bool,
}

/// What keepalived calls a state that something has entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Master,
    Backup,
    Fault,
    Stop,
    Deleted,
}

impl Word {
    fn of(to: State, why: &Why) -> Option<Self> {
        Some(match (why, to) {
            (Why::Stopped, _) => Self::Stop,
            (Why::Deleted, _) => Self::Deleted,
            (_, State::Master) => Self::Master,
            (_, State::Backup) => Self::Backup,
            (_, State::Fault) => Self::Fault,
            (_, State::Init) => return None,
        })
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
            Self::Deleted => "DELETED",
        }
    }

    /// The script for it.
    fn script(self, notify: &Notify) -> Option<&Command> {
        match self {
            Self::Master => notify.master.as_ref(),
            Self::Backup => notify.backup.as_ref(),
            Self::Fault => notify.fault.as_ref(),
            Self::Stop => notify.stop.as_ref(),
            // Scripts of before there was such a word know faults.
            Self::Deleted => notify.deleted.as_ref().or(notify.fault.as_ref()),
        }
    }
}

/// What is told to scripts and pipes.
struct News<'a> {
    /// `INSTANCE` or `GROUP`.
    kind: &'static str,
    name: &'a str,
    /// The state, or what else keepalived puts in its place.
    word: &'static str,
    priority: u8,
    environment: Vec<(&'static str, String)>,
}

impl Teller {
    /// What is said about something that has happened.
    pub(super) fn said(&mut self, vrrp: &Vrrp, about: Option<About<'_>>, output: &Output) -> Said {
        match (output, about) {
            (Output::GroupEntered { group, to, .. }, _) => {
                let group = vrrp.groups.iter().find(|g| g.name.value == *group);
                group.map_or_else(Said::default, |group| self.group(vrrp, group, *to))
            }
            (
                Output::Entered {
                    from,
                    to,
                    why,
                    priority,
                    ..
                },
                Some(about),
            ) => self.entered(vrrp, about.instance, (*from, *to), why, *priority),
            (
                Output::Priority {
                    from, to, because, ..
                },
                Some(about),
            ) => {
                let because = because.as_ref().map(|object| format!(": {object}"));
                let line = format!(
                    "Changing effective priority from {from} to {to}{}",
                    because.unwrap_or_default()
                );
                priority_changed(about, *to, line)
            }
            (Output::Rival { from, priority, .. }, Some(about)) => {
                rival(about.instance, *priority, &from.to_string())
            }
            (Output::Trouble { from, trouble, .. }, Some(about)) => {
                let cure = trouble.cure().map(|cure| format!(". {cure}"));
                let cure = cure.unwrap_or_default();
                log(about.instance, &format!("from {from}: {trouble}{cure}"))
            }
            _ => Said::default(),
        }
    }

    /// How a virtual router is, once more, for pipes.
    pub(super) fn repeated(about: About<'_>, state: State, priority: u8) -> Option<Alert> {
        let word = Word::of(state, &Why::Started)?;
        let news = News {
            kind: "INSTANCE",
            name: &about.instance.name.value,
            word: word.as_str(),
            priority,
            environment: Vec::new(),
        };
        Some(news.alert(None, true))
    }

    /// What is said of a group at the end.
    pub(super) fn group_stopped(&self, group: &SyncGroup) -> Said {
        let name = &group.name.value;
        let news = News::of_group(name, Word::Stop);
        Said {
            log: Vec::new(),
            alerts: news.alerts(&group.notify, Word::Stop),
        }
    }

    fn entered(
        &mut self,
        vrrp: &Vrrp,
        instance: &Instance,
        (from, to): (State, State),
        why: &Why,
        priority: u8,
    ) -> Said {
        let Some(word) = Word::of(to, why) else {
            return log(instance, &format!("Entering {to} STATE: {why}"));
        };
        let mut said = match word {
            Word::Stop => log(instance, "Stopping"),
            Word::Deleted => log(instance, "Deleted: a reload has removed it"),
            _ => log(instance, &format!("Entering {to} STATE: {why}")),
        };
        let name = &instance.name.value;
        let news = News {
            kind: "INSTANCE",
            name,
            word: word.as_str(),
            priority,
            environment: vec![
                ("LVSD_EVENT", "vrrp-state".to_owned()),
                ("LVSD_INSTANCE", name.clone()),
                ("LVSD_STATE", word.as_str().to_owned()),
                ("LVSD_PREVIOUS_STATE", from.to_string()),
                ("LVSD_PRIORITY", priority.to_string()),
                ("LVSD_REASON", why.to_string()),
            ],
        };
        said.alerts = news.alerts(&instance.notify, word);
        let body = match word {
            Word::Master => "=> VRRP Instance is now owning VRRP VIPs <=",
            Word::Backup | Word::Fault => "=> VRRP Instance is no longer owning VRRP VIPs <=",
            Word::Stop => "=> VRRP Instance stopping <=",
            Word::Deleted => "=> VRRP Deleted at reload <=",
        };
        let what = format!("VRRP Instance {name}");
        said.alerts
            .extend(self.mail(vrrp, instance.mails, what, word, body.to_owned()));
        said
    }

    fn group(&mut self, vrrp: &Vrrp, group: &SyncGroup, to: State) -> Said {
        let name = &group.name.value;
        let shown = name.escape_debug();
        let mut said = Said {
            log: vec![format!(
                "VRRP_Group({shown}) Syncing instances to {to} state"
            )],
            alerts: Vec::new(),
        };
        let Some(word) = Word::of(to, &Why::Started) else {
            return said;
        };
        let news = News::of_group(name, word);
        said.alerts = news.alerts(&group.notify, word);
        let what = format!("VRRP Group {name}");
        let state = word.as_str();
        let body = format!("=> All VRRP group instances are now in {state} state <=");
        said.alerts
            .extend(self.mail(vrrp, group.mails, what, word, body));
        said
    }

    /// A mail, unless it says what the last one about the same said.
    fn mail(
        &mut self,
        vrrp: &Vrrp,
        wanted: bool,
        what: String,
        word: Word,
        body: String,
    ) -> Option<Alert> {
        let unwanted_fault = word == Word::Fault && vrrp.common.no_fault_mails;
        if !wanted || unwanted_fault {
            return None;
        }
        if self.mailed.insert(what.clone(), word.as_str()) == Some(word.as_str()) {
            return None;
        }
        let said = match word {
            Word::Stop => "Stopping".to_owned(),
            Word::Deleted => "Deleted".to_owned(),
            _ => format!("Entering {} state", word.as_str()),
        };
        Some(Alert {
            about: what.clone(),
            script: None,
            line: None,
            mail: Some(Mail {
                subject: format!("{what} - {said}"),
                body,
            }),
        })
    }
}

impl<'a> News<'a> {
    fn of_group(name: &'a str, word: Word) -> Self {
        Self {
            kind: "GROUP",
            name,
            word: word.as_str(),
            priority: 0,
            environment: vec![
                ("LVSD_EVENT", "vrrp-state".to_owned()),
                ("LVSD_GROUP", name.to_owned()),
                ("LVSD_STATE", word.as_str().to_owned()),
            ],
        }
    }

    /// Its own script, then the one for all, and with it the line.
    fn alerts(self, notify: &Notify, word: Word) -> Vec<Alert> {
        let own = word.script(notify);
        let own = own.map(|command| self.alert(Some(command.clone()), false));
        let any = notify.any.as_ref().map(|command| {
            let mut command = command.clone();
            let arguments = [self.kind, self.name, self.word];
            command.argv.extend(arguments.map(str::to_owned));
            command.argv.push(self.priority.to_string());
            command
        });
        let any = self.alert(any, true);
        own.into_iter().chain([any]).collect()
    }

    fn alert(&self, command: Option<Command>, with_line: bool) -> Alert {
        Alert {
            about: format!("VRRP {} {}", self.kind, self.name),
            script: command.map(|command| Script {
                command,
                environment: self.environment.clone(),
            }),
            line: with_line.then(|| self.line()),
            mail: None,
        }
    }

    fn line(&self) -> Line {
        let Self {
            kind,
            name,
            word,
            priority,
            ..
        } = self;
        Line {
            kind: LineKind::Vrrp,
            text: format!("{kind} \"{name}\" {word} {priority}"),
        }
    }
}

fn priority_changed(about: About<'_>, priority: u8, line: String) -> Said {
    let mut said = log(about.instance, &line);
    if about.instance.notify_priority {
        let news = News {
            kind: "INSTANCE",
            name: &about.instance.name.value,
            word: match about.master {
                true => "MASTER_PRIORITY",
                false => "BACKUP_PRIORITY",
            },
            priority,
            environment: Vec::new(),
        };
        said.alerts.push(news.alert(None, true));
    }
    said
}

/// A master has heard another of lower priority.
fn rival(instance: &Instance, priority: u8, from: &str) -> Said {
    let mut said = log(
        instance,
        &format!("Received advert from {from} with lower priority {priority}: two masters"),
    );
    let name = &instance.name.value;
    let news = News {
        kind: "INSTANCE",
        name,
        word: "MASTER_RX_LOWER_PRI",
        priority: instance.priority.value,
        environment: vec![
            ("LVSD_EVENT", "vrrp-rival".to_owned()),
            ("LVSD_INSTANCE", name.clone()),
            ("LVSD_RIVAL", from.to_owned()),
            ("LVSD_RIVAL_PRIORITY", priority.to_string()),
        ],
    };
    said.alerts
        .push(news.alert(instance.notify.rival.clone(), true));
    said
}

fn log(instance: &Instance, what: &str) -> Said {
    let name = instance.name.value.escape_debug();
    Said {
        log: vec![format!("({name}) {what}")],
        alerts: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
