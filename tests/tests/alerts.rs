//! What people and their programs are told: mails at a real mail server, lines in pipes that are read, scripts at the start and at the
//! end; and scripts that are not run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tests::command::{eventually, text};
use tests::health::{Notes, Switch, real_server, script, virtual_server};
use tests::process::PATIENCE;
use tests::{Family, Lan, Lvsd, Plan};

const V4: Family = Family::V4;

const PORT: &str = "TCP_CHECK {\n }";

/// How r1 and the service are called in alerts.
const R1: &str = "[10.10.0.11]:tcp:80";
const VS: &str = "[10.9.0.100]:tcp:80";

/// The settings of mails, which r2 takes, with further ones.
fn mails(lan: &Lan, more: &str) -> String {
    let server = lan.server(V4, 1);
    format!(
        "global_defs {{\n router_id LB7\n notification_email {{\n ops@example.test\n boss@example.test\n }}\n \
         notification_email_from lvsd@director.test\n smtp_server {server} 25\n {more}\n}}\n"
    )
}

/// The one service, of r1 alone.
fn service(lan: &Lan, lines: &str, server_lines: &str) -> String {
    let server = real_server(lan.server(V4, 0), 80, server_lines);
    virtual_server(format!("{} 80", V4.vip()), "TCP", lines, &[server])
}

/// What of a mail matters: sender, subject, text.
fn gist(mail: &str) -> (String, String, String) {
    let (head, text) = mail.split_once("\n\n").expect("a header and a text");
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    (field("Return-path:"), field("Subject:"), text.to_owned())
}

#[test]
fn mails_tell_of_failures_and_recoveries() {
    let lan = Plan::two_arms(2).build();
    let mut web = lan.servers[0].web(&[80]);
    let mail = lan.servers[1].mail(25);
    let conf = mails(&lan, "smtp_alert") + &service(&lan, "", PORT);
    let _daemon = Lvsd::configured(&lan, conf).start();
    lan.await_checked();
    let server = format!("[LB7] Realserver {R1} of virtual server {VS} - ");
    let quorum = format!("[LB7] Virtualserver {VS} - ");
    // Each goes to two people.
    let mut seen = Vec::new();
    let mut next = |count: usize| {
        let mut new = mail.await_arrived(seen.len() + 2 * count);
        new.retain(|mail| !seen.contains(mail));
        seen.extend(new.iter().cloned());
        for who in ["ops@example.test", "boss@example.test"] {
            let theirs = new
                .iter()
                .filter(|m| m.contains(&format!("Envelope-to: {who}")));
            assert_eq!(theirs.count(), count, "{new:#?}");
        }
        let mut gists: Vec<_> = new.iter().map(|mail| gist(mail)).collect();
        gists.sort();
        gists.dedup();
        gists
    };
    let one = |subject: String, text: &str| {
        (
            "<lvsd@director.test>".to_owned(),
            subject,
            format!("{text}\n"),
        )
    };
    // At the start, the quorum.
    assert_eq!(
        next(1),
        [one(quorum.clone() + "UP", "=> Gained quorum 1+0=1 <= 1 <=")]
    );
    web.kill();
    assert_eq!(
        next(2),
        [
            one(
                server.clone() + "DOWN",
                "=> TCP CHECK failed on service : connection refused <="
            ),
            one(quorum.clone() + "DOWN", "=> Lost quorum 1-0=1 > 0 <="),
        ]
    );
    web.restart();
    assert_eq!(
        next(2),
        [
            one(server + "UP", "=> TCP CHECK succeed on service <="),
            one(quorum + "UP", "=> Gained quorum 1+0=1 <= 1 <="),
        ]
    );
}

/// The mail server is down as well; it gets the mail once it is back.
#[test]
fn mails_are_sent_again() {
    let lan = Plan::two_arms(2).build();
    let mut mail = lan.servers[1].mail(25);
    let switch = Switch::new(&lan, "one");
    let conf = [
        mails(&lan, ""),
        switch.block(),
        service(&lan, "", &switch.check()),
    ];
    let daemon = Lvsd::configured(&lan, conf.concat()).start();
    mail.server.kill();
    switch.fail();
    let refused = || daemon.said().contains("tried again");
    assert!(eventually(PATIENCE, refused), "{}", daemon.said());
    mail.server.restart();
    let arrived = mail.await_arrived(2);
    assert!(gist(&arrived[0]).1.ends_with("- DOWN"), "{arrived:#?}");
}

/// When a rack fails, there are twenty mails, and one about the rest.
#[test]
fn a_rack_is_summed_up() {
    const SERVERS: u16 = 45;
    let lan = Plan::two_arms(2).build();
    let mut web = lan.servers[0].web(&[80]);
    let mail = lan.servers[1].mail(25);
    let check = "TCP_CHECK {\n connect_port 80\n }";
    let ports = 8001..8001 + SERVERS;
    let servers: Vec<_> = ports
        .clone()
        .map(|port| real_server(lan.server(V4, 0), port, check))
        .collect();
    let conf = mails(&lan, "") + &virtual_server(format!("{} 80", V4.vip()), "TCP", "", &servers);
    let conf = conf.replace(" boss@example.test\n", "");
    let daemon = Lvsd::configured(&lan, conf).start();
    lan.await_checked();
    web.kill();
    lan.await_listed("TCP", &[]);
    mail.await_arrived(20);
    // At the end at the latest; otherwise after a minute.
    let (status, said) = daemon.stop("TERM");
    assert_eq!(status.code(), Some(0), "{said}");
    let arrived = mail.await_arrived(21);
    assert_eq!(arrived.len(), 21);
    let (sum, single): (Vec<_>, Vec<_>) = arrived
        .iter()
        .map(|m| gist(m))
        .partition(|g| g.1.contains("more events"));
    assert_eq!(sum[0].1, "[LB7] 25 more events");
    assert_eq!(sum[0].2.lines().count(), 25);
    for port in ports {
        let subject = format!("Realserver [10.10.0.11]:tcp:{port} of virtual server {VS} - DOWN");
        let told = single.iter().filter(|g| g.1.contains(&subject)).count()
            + sum[0].2.matches(&subject).count();
        assert_eq!(told, 1, "{subject}: {arrived:#?}");
    }
}

/// Waits until a file has these lines.
#[track_caller]
fn await_lines(file: &Path, wanted: &[String]) {
    let lines = || -> Vec<String> {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    assert!(
        eventually(PATIENCE, || lines() == wanted),
        "{:#?} instead of {wanted:#?}",
        lines()
    );
}

#[test]
fn pipes_are_read_by_whoever_comes() {
    let lan = Plan::two_arms(1).build();
    let pipe = lan.director.file("pipe");
    let switch = Switch::new(&lan, "one");
    let globals = format!("global_defs {{\n lvs_notify_fifo {}\n}}\n", pipe.display());
    let conf = [globals, switch.block(), service(&lan, "", &switch.check())];
    let daemon = Lvsd::configured(&lan, conf.concat()).start();
    switch.fail();
    lan.await_listed("TCP", &[]);
    // Whoever comes late has missed nothing.
    let mut reader = lan.director.start("cat", &["cat", pipe.to_str().unwrap()]);
    let lines = |reader: &tests::Process, wanted: &[&str]| {
        let is_so = || reader.said().lines().eq(wanted.iter().copied());
        assert!(
            eventually(PATIENCE, is_so),
            "{} instead of {wanted:#?}",
            reader.said()
        );
    };
    let [rs_up, rs_down] = ["UP", "DOWN"].map(|state| format!("RS {R1} {VS} {state}"));
    let [vs_up, vs_down] = ["UP", "DOWN"].map(|state| format!("VS {VS} {state}"));
    lines(&reader, &[&vs_up, &rs_down, &vs_down]);
    switch.recover();
    lines(&reader, &[&vs_up, &rs_down, &vs_down, &rs_up, &vs_up]);
    let (status, said) = daemon.stop("TERM");
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(reader.await_end().success());
    assert!(!pipe.exists(), "who has made it removes it");
}

#[test]
fn a_pipes_reader_is_started_and_kept_running() {
    let lan = Plan::two_arms(1).build();
    let [pipe, heard, pids] = ["pipe", "heard", "pids"].map(|name| lan.director.file(name));
    let reader = script(
        &lan,
        "reader",
        &format!(
            "echo $$ >>{}\nwhile read -r line; do echo \"$1 $line\" >>{}; done <\"$2\"\n",
            pids.display(),
            heard.display()
        ),
    );
    let switch = Switch::new(&lan, "one");
    let globals = format!(
        "global_defs {{\n notify_fifo {}\n notify_fifo_script \"{} said\"\n}}\n",
        pipe.display(),
        reader.display()
    );
    let conf = [globals, switch.block(), service(&lan, "", &switch.check())];
    let daemon = Lvsd::configured(&lan, conf.concat()).start();
    let [rs_up, rs_down] = ["UP", "DOWN"].map(|state| format!("said RS {R1} {VS} {state}"));
    let [vs_up, vs_down] = ["UP", "DOWN"].map(|state| format!("said VS {VS} {state}"));
    await_lines(&heard, std::slice::from_ref(&vs_up));
    switch.fail();
    await_lines(&heard, &[vs_up.clone(), rs_down.clone(), vs_down.clone()]);
    // Killed, it is started again, and hears what has happened meanwhile.
    let pid = fs::read_to_string(&pids).unwrap();
    lan.director.run(&["kill", "-s", "KILL", pid.trim()]);
    let noted = || daemon.said().contains("it is started again");
    assert!(eventually(PATIENCE, noted), "{}", daemon.said());
    switch.recover();
    await_lines(&heard, &[vs_up.clone(), rs_down, vs_down, rs_up, vs_up]);
    let (status, said) = daemon.stop("TERM");
    assert_eq!(status.code(), Some(0), "{said}");
    let pids = fs::read_to_string(&pids).unwrap();
    for pid in pids.lines() {
        assert!(
            !Path::new("/proc").join(pid).exists(),
            "reader {pid} is still there"
        );
    }
}

#[test]
fn scripts_at_the_start_and_at_the_end() {
    let lan = Plan::two_arms(1).build();
    let notes = Notes::new(&lan);
    let command = |words: &str| notes.command(words);
    let globals = format!(
        "global_defs {{\n startup_script {}\n shutdown_script {}\n}}\n",
        command("first"),
        command("last")
    );
    let lines = format!(
        "omega\n quorum_up {}\n quorum_down {}",
        command("up"),
        command("down")
    );
    let daemon = Lvsd::configured(&lan, globals + &service(&lan, &lines, "")).start();
    let words = |count: usize| -> Vec<String> {
        let lines = notes.take(count).into_iter();
        lines
            .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
            .collect()
    };
    assert_eq!(words(2), ["first", "up"]);
    let (status, said) = daemon.stop("TERM");
    assert_eq!(status.code(), Some(0), "{said}");
    assert_eq!(words(2), ["down", "last"]);
}

/// Whom scripts run as, and that with script security those are not run as root that somebody else could change: at the start
/// the file is refused, and later the script.
#[test]
fn scripts_that_others_could_change_are_not_run() {
    let lan = Plan::two_arms(1).build();
    let ran = lan.director.file("ran");
    fs::write(&ran, "").unwrap();
    fs::set_permissions(&ran, fs::Permissions::from_mode(0o666)).unwrap();
    let path = script(
        &lan,
        "tell",
        &format!("echo \"$1 $(id -un)\" >>{}\n", ran.display()),
    );
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let switch = Switch::new(&lan, "one");
    let path = path.display();
    let conf = [
        "global_defs {\n enable_script_security\n script_user root\n}\n".to_owned(),
        switch.block(),
        service(
            &lan,
            &format!("quorum_down \"{path} quorum\" nobody"),
            &format!(
                "notify_down \"{path} down\"\n notify_up \"{path} up\" nobody\n{}",
                switch.check()
            ),
        ),
    ]
    .concat();
    mode(0o757);
    let out = Lvsd::configured(&lan, &conf).refused();
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("error[script-refused]"), "{said}");

    mode(0o755);
    let daemon = Lvsd::configured(&lan, &conf).start();
    switch.fail();
    let told = || -> Vec<String> {
        let mut lines: Vec<_> = fs::read_to_string(&ran)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let both = ["down root", "quorum nobody"];
    assert!(
        eventually(PATIENCE, || told() == both),
        "{:?}: {}",
        told(),
        daemon.said()
    );
    switch.recover();
    assert!(eventually(PATIENCE, || told().len() == 3), "{:?}", told());
    assert_eq!(told()[2], "up nobody");
    // Nobody may do what he could do anyway.
    mode(0o757);
    switch.fail();
    assert!(
        eventually(PATIENCE, || told().len() == 4),
        "{:?}: {}",
        told(),
        daemon.said()
    );
    assert_eq!(told()[1..3], ["quorum nobody", "quorum nobody"]);
    let refused = || daemon.said().contains("may be written by everybody");
    assert!(eventually(PATIENCE, refused), "{}", daemon.said());
    assert_eq!(told()[0], "down root");
    assert!(!told()[1].starts_with("down"), "{:?}", told());
}
