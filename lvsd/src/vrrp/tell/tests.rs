//! Each state by each way of telling.

use std::net::IpAddr;
use std::time::Duration;

use lvs_vrrp::config::Object;
use lvs_vrrp::event::{Cause, RouterId, Trouble};

use super::super::testing;
use super::*;

const SCRIPTS: &str = "notify_master /m\n notify_backup \"/b x\"\n notify_fault /f\n notify_stop /s\n notify \"/any 1\"\n";

fn config(global: &str, lines: &str) -> Vrrp {
    let members = "group {\n V\n }\n";
    testing::vrrp(&format!(
        "global_defs {{\n {global}\n}}\nvrrp_sync_group G {{\n {members} smtp_alert\n {SCRIPTS}}}\n{}",
        testing::instance("V", 51, &format!("smtp_alert\n {SCRIPTS} {lines}"))
    ))
}

fn about(vrrp: &Vrrp) -> About<'_> {
    About {
        instance: &vrrp.instances[0],
        master: false,
    }
}

fn entered(from: State, to: State, why: Why) -> Output {
    Output::Entered {
        router: RouterId(0),
        from,
        to,
        why,
        priority: 130,
    }
}

/// What is told in order, a line each: `script` with its words, `line`, `mail`.
fn told(said: &Said) -> Vec<String> {
    let each = said.alerts.iter().flat_map(|alert| {
        let script = alert.script.as_ref();
        let script = script.map(|s| format!("script {}", s.command.argv.join(" ")));
        let line = alert.line.as_ref().map(|line| {
            assert_eq!(line.kind, LineKind::Vrrp);
            format!("line {}", line.text)
        });
        let mail = alert.mail.as_ref();
        let mail = mail.map(|m| format!("mail {}: {}", m.subject, m.body));
        [script, line, mail]
    });
    each.flatten().collect()
}

fn environment(said: &Said) -> Vec<Vec<(&'static str, String)>> {
    let scripts = said.alerts.iter().filter_map(|a| a.script.as_ref());
    scripts.map(|s| s.environment.clone()).collect()
}

const OWNING: &str = "=> VRRP Instance is now owning VRRP VIPs <=";
const NOT_OWNING: &str = "=> VRRP Instance is no longer owning VRRP VIPs <=";

#[test]
fn every_state_is_told_in_keepalived_s_words() {
    let vrrp = config("", "notify_deleted /d\n");
    let rows = [
        (
            State::Master,
            Why::Owner,
            "MASTER",
            Some("/m"),
            "Entering MASTER STATE: it owns the addresses (priority 255)",
            format!("Entering MASTER state: {OWNING}"),
        ),
        (
            State::Backup,
            Why::Started,
            "BACKUP",
            Some("/b x"),
            "Entering BACKUP STATE: it has been started",
            format!("Entering BACKUP state: {NOT_OWNING}"),
        ),
        (
            State::Fault,
            Why::Faults(vec![Cause::NoSource]),
            "FAULT",
            Some("/f"),
            "Entering FAULT STATE: there is no address to send from",
            format!("Entering FAULT state: {NOT_OWNING}"),
        ),
        (
            State::Init,
            Why::Stopped,
            "STOP",
            Some("/s"),
            "Stopping",
            "Stopping: => VRRP Instance stopping <=".to_owned(),
        ),
        (
            State::Init,
            Why::Deleted,
            "DELETED",
            Some("/d"),
            "Deleted: a reload has removed it",
            "Deleted: => VRRP Deleted at reload <=".to_owned(),
        ),
    ];
    for (to, why, word, script, log, mail) in rows {
        let mut teller = Teller::default();
        let output = entered(State::Backup, to, why.clone());
        let said = teller.said(&vrrp, Some(about(&vrrp)), &output);
        assert_eq!(said.log, [format!("(V) {log}")]);
        let wanted: Vec<String> = script
            .map(|path| format!("script {path}"))
            .into_iter()
            .chain([
                format!("script /any 1 INSTANCE V {word} 130"),
                format!("line INSTANCE \"V\" {word} 130"),
                format!("mail VRRP Instance V - {mail}"),
            ])
            .collect();
        assert_eq!(told(&said), wanted, "{word}");
        let environment = environment(&said);
        assert_eq!(environment[0], environment[1]);
        let wanted = [
            ("LVSD_EVENT", "vrrp-state"),
            ("LVSD_INSTANCE", "V"),
            ("LVSD_STATE", word),
            ("LVSD_PREVIOUS_STATE", "BACKUP"),
            ("LVSD_PRIORITY", "130"),
            ("LVSD_REASON", &why.to_string()),
        ];
        assert_eq!(environment[0], wanted.map(|(k, v)| (k, v.to_owned())));
    }
}

#[test]
fn nobody_but_the_log_is_told_of_a_state_without_a_word() {
    let vrrp = config("", "");
    let output = entered(State::Backup, State::Init, Why::Reloaded);
    let said = Teller::default().said(&vrrp, Some(about(&vrrp)), &output);
    assert_eq!(told(&said), [""; 0]);
    let line = "(V) Entering INIT STATE: a reload has changed what it is: it begins anew";
    assert_eq!(said.log, [line]);
}

#[test]
fn a_deletion_without_script_is_a_fault() {
    let vrrp = config("", "");
    let output = entered(State::Master, State::Init, Why::Deleted);
    let said = Teller::default().said(&vrrp, Some(about(&vrrp)), &output);
    assert_eq!(
        told(&said)[..3],
        [
            "script /f",
            "script /any 1 INSTANCE V DELETED 130",
            "line INSTANCE \"V\" DELETED 130"
        ]
    );
}

/// A line is written for every state, whether there are scripts or not.
#[test]
fn what_is_not_wanted_is_not_told() {
    let vrrp = testing::vrrp(&testing::instance("V", 51, ""));
    let output = entered(State::Backup, State::Master, Why::Started);
    let said = Teller::default().said(&vrrp, Some(about(&vrrp)), &output);
    assert_eq!(told(&said), ["line INSTANCE \"V\" MASTER 130"]);
}

#[test]
fn groups_are_told_of_likewise() {
    let vrrp = config("", "");
    for (to, word, script) in [
        (State::Master, "MASTER", "/m"),
        (State::Backup, "BACKUP", "/b x"),
        (State::Fault, "FAULT", "/f"),
    ] {
        let output = Output::GroupEntered {
            group: "G".to_owned(),
            from: State::Init,
            to,
        };
        let said = Teller::default().said(&vrrp, None, &output);
        assert_eq!(
            said.log,
            [format!("VRRP_Group(G) Syncing instances to {to} state")]
        );
        let body = format!("=> All VRRP group instances are now in {word} state <=");
        assert_eq!(
            told(&said),
            [
                format!("script {script}"),
                format!("script /any 1 GROUP G {word} 0"),
                format!("line GROUP \"G\" {word} 0"),
                format!("mail VRRP Group G - Entering {word} state: {body}"),
            ]
        );
        let wanted = [
            ("LVSD_EVENT", "vrrp-state"),
            ("LVSD_GROUP", "G"),
            ("LVSD_STATE", word),
        ];
        assert_eq!(
            environment(&said)[0],
            wanted.map(|(k, v)| (k, v.to_owned()))
        );
    }
    for (group, to) in [("G", State::Init), ("gone", State::Master)] {
        let group = group.to_owned();
        let from = State::Backup;
        let output = Output::GroupEntered { group, from, to };
        assert_eq!(told(&Teller::default().said(&vrrp, None, &output)), [""; 0]);
    }
}

#[test]
fn groups_are_told_of_the_end() {
    let vrrp = config("", "");
    let said = Teller::default().group_stopped(&vrrp.groups[0]);
    let wanted = [
        "script /s",
        "script /any 1 GROUP G STOP 0",
        "line GROUP \"G\" STOP 0",
    ];
    assert_eq!(told(&said), wanted);
    assert_eq!(said.log, [""; 0]);
}

/// The subjects of the mails about these states, one after the other.
fn mailed(vrrp: &Vrrp, states: &[State]) -> Vec<String> {
    let mut teller = Teller::default();
    let mut subjects = Vec::new();
    for to in states {
        let output = entered(State::Init, *to, Why::Started);
        let said = teller.said(vrrp, Some(about(vrrp)), &output);
        let mails = said.alerts.into_iter().filter_map(|a| a.mail);
        subjects.extend(mails.map(|m| m.subject.replace("VRRP Instance V - Entering ", "")));
    }
    subjects
}

#[test]
fn mails_do_not_say_the_same_twice() {
    use State::{Backup, Fault, Master};
    let states = [Backup, Backup, Master, Fault, Fault, Backup, Fault, Master];
    let all = ["BACKUP", "MASTER", "FAULT", "BACKUP", "FAULT", "MASTER"];
    let all = all.map(|s| format!("{s} state"));
    assert_eq!(mailed(&config("", ""), &states), all);
    // What the last mail said counts, not what was.
    let without = [
        "BACKUP state",
        "MASTER state",
        "BACKUP state",
        "MASTER state",
    ];
    assert_eq!(mailed(&config("no_email_faults", ""), &states), without);
    let unwanted = testing::vrrp(&testing::instance("V", 51, ""));
    assert_eq!(mailed(&unwanted, &states), [""; 0]);
}

#[test]
fn mails_about_one_do_not_keep_those_about_another() {
    let text = testing::instance("V", 51, "smtp_alert") + &testing::instance("W", 52, "smtp_alert");
    let vrrp = testing::vrrp(&text);
    let mut teller = Teller::default();
    for instance in &vrrp.instances {
        let about = About {
            instance,
            master: true,
        };
        let output = entered(State::Init, State::Master, Why::Started);
        let said = teller.said(&vrrp, Some(about), &output);
        assert!(said.alerts.iter().any(|a| a.mail.is_some()));
    }
}

#[test]
fn priorities_go_to_pipes_if_that_is_wanted() {
    let quiet = config("", "");
    let wanted = config("", "notify_priority_changes");
    let output = |because| Output::Priority {
        router: RouterId(0),
        from: 100,
        to: 130,
        because,
    };
    for (vrrp, master, lines) in [
        (&quiet, true, &[][..]),
        (&wanted, true, &["line INSTANCE \"V\" MASTER_PRIORITY 130"]),
        (&wanted, false, &["line INSTANCE \"V\" BACKUP_PRIORITY 130"]),
    ] {
        let instance = &vrrp.instances[0];
        let about = About { instance, master };
        let said = Teller::default().said(vrrp, Some(about), &output(None));
        assert_eq!(told(&said), lines);
        let line = "(V) Changing effective priority from 100 to 130";
        assert_eq!(said.log, [line]);
        let because = Some(Object::Script("a\nb".to_owned()));
        let said = Teller::default().said(vrrp, Some(about), &output(because));
        assert_eq!(said.log, [format!("{line}: script a\\nb")]);
    }
}

#[test]
fn rivals_have_a_script_of_their_own() {
    let vrrp = config("", "notify_master_rx_lower_pri /r\n priority 77");
    let from: IpAddr = [192, 0, 2, 9].into();
    let output = Output::Rival {
        router: RouterId(0),
        from,
        priority: 50,
    };
    let said = Teller::default().said(&vrrp, Some(about(&vrrp)), &output);
    let wanted = ["script /r", "line INSTANCE \"V\" MASTER_RX_LOWER_PRI 77"];
    assert_eq!(told(&said), wanted);
    assert_eq!(
        said.log,
        ["(V) Received advert from 192.0.2.9 with lower priority 50: two masters"]
    );
    let wanted = [
        ("LVSD_EVENT", "vrrp-rival"),
        ("LVSD_INSTANCE", "V"),
        ("LVSD_RIVAL", "192.0.2.9"),
        ("LVSD_RIVAL_PRIORITY", "50"),
    ];
    assert_eq!(
        environment(&said)[0],
        wanted.map(|(k, v)| (k, v.to_owned()))
    );
}

#[test]
fn trouble_is_logged_with_its_cure() {
    let vrrp = config("", "");
    let trouble = |trouble| Output::Trouble {
        router: RouterId(0),
        from: [192, 0, 2, 9].into(),
        trouble,
    };
    let logged = |what: Trouble| {
        let said = Teller::default().said(&vrrp, Some(about(&vrrp)), &trouble(what));
        assert_eq!(told(&said), [""; 0]);
        said.log
    };
    assert_eq!(
        logged(Trouble::TwoOwners),
        [
            "(V) from 192.0.2.9: it owns the addresses (priority 255), and so do we. Give one router only the priority 255."
        ]
    );
    let lower = Trouble::Lower {
        priority: 1,
        ours: 2,
    };
    let line = format!("(V) from 192.0.2.9: {lower}");
    assert_eq!(logged(lower), [line]);
}

#[test]
fn who_is_nobody_any_more_is_not_told_of() {
    let vrrp = config("", "");
    let late = Why::Late {
        by: Duration::from_secs(1),
    };
    let output = entered(State::Master, State::Backup, late);
    let said = Teller::default().said(&vrrp, None, &output);
    assert_eq!((told(&said), said.log), (Vec::new(), Vec::new()));
}

#[test]
fn states_are_repeated_for_pipes_only() {
    let vrrp = config("", "");
    let repeated = |state| Teller::repeated(about(&vrrp), state, 9);
    let alert = repeated(State::Backup).unwrap();
    assert_eq!(alert.line.unwrap().text, "INSTANCE \"V\" BACKUP 9");
    assert!(alert.script.is_none() && alert.mail.is_none());
    assert_eq!(repeated(State::Init), None);
}

/// Names are text of a file: nothing in a log may look like another line.
#[test]
fn names_are_escaped_in_logs() {
    let mut vrrp = config("", "");
    vrrp.instances[0].name.value = "a\x1b[2Jb".to_owned();
    let output = entered(State::Backup, State::Init, Why::Stopped);
    let said = Teller::default().said(&vrrp, Some(about(&vrrp)), &output);
    assert_eq!(said.log, ["(a\\u{1b}[2Jb) Stopping"]);
}
