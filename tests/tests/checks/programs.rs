//! Programs and files: `MISC_CHECK` and `FILE_CHECK`.

use std::fs;

use tests::health::{real_server, script, virtual_server};
use tests::{Lvsd, Plan};

use crate::{V4, page};

#[test]
fn scripts_decide_and_weigh() {
    let lan = Plan::two_arms(2).build();
    let _web = lan.web();
    let status = lan.director.file("status");
    let say = |words: &str| fs::write(&status, words).unwrap();
    say("exit 0");
    let path = script(&lan, "check", "echo \"I say: $1\"\n. \"$2\"\n");
    let check = |more: &str| {
        let (path, status) = (path.display(), status.display());
        format!(
            "MISC_CHECK {{\n misc_path \"{path} 'a b' {status}\"\n misc_timeout 2\n {more}\n }}"
        )
    };
    let service = |port: u16, more: &str| {
        let servers = [0, 1].map(|i| {
            let check = if i == 0 { check(more) } else { String::new() };
            real_server(lan.server(V4, i), port, format!("weight 10\n{check}"))
        });
        virtual_server(format!("{} {port}", V4.vip()), "TCP", "", &servers)
    };
    let conf = service(80, "") + &service(8080, "misc_dynamic");
    let daemon = Lvsd::configured(&lan, conf).start();
    let (plain, dynamic) = ("TCP  10.9.0.100:80 ", "TCP  10.9.0.100:8080 ");
    for (words, weights) in [
        ("exit 0", [Some(10), Some(10)]),
        ("exit 1", [None, None]),
        ("exit 7", [None, Some(5)]),
        ("exit 2", [None, Some(0)]),
        ("exit 255", [None, Some(253)]),
        ("sleep 30", [None, None]),
        ("kill -s KILL $$", [None, None]),
        ("exit 0", [Some(10), Some(10)]),
    ] {
        say(words);
        for (service, port, weight) in [(plain, 80, weights[0]), (dynamic, 8080, weights[1])] {
            let [r1, r2] = [1, 2].map(|n| format!("r{n}:{port}"));
            let r1 = weight.map(|weight| (&*r1, weight));
            let servers: Vec<_> = r1.into_iter().chain([(&*r2, 10)]).collect();
            lan.await_listed(service, &servers);
        }
    }
    lan.await_answers(&["r1", "r2"], || page(&lan));
    let said = daemon.said();
    for line in [
        "MISC_CHECK failed: script failed: status 1: I say: a b",
        "still runs after 2 s",
        "from 10 to 5",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn files_decide_and_weigh() {
    let lan = Plan::two_arms(2).build();
    let _web = lan.web();
    let file = lan.director.file("tracked");
    let service = |port: u16, weight: i32| {
        let check = format!("weight 10\n FILE_CHECK {{\n track_file switch\n weight {weight}\n }}");
        let servers = [
            real_server(lan.server(V4, 0), port, check),
            real_server(lan.server(V4, 1), port, "weight 10"),
        ];
        virtual_server(format!("{} {port}", V4.vip()), "TCP", "", &servers)
    };
    let conf = [
        format!("track_file switch {{\n file {}\n}}\n", file.display()),
        service(80, 0),
        service(8080, -2),
    ];
    let daemon = Lvsd::configured(&lan, conf.concat()).start();
    let (plain, weighed) = ("TCP  10.9.0.100:80 ", "TCP  10.9.0.100:8080 ");
    for (number, weights) in [
        (None, (Some(10), 10)),
        (Some("3\n"), (None, 4)),
        (Some("0\n"), (Some(10), 10)),
        (Some("-1\n"), (None, 12)),
        (None, (Some(10), 10)),
    ] {
        match number {
            Some(number) => fs::write(&file, number).unwrap(),
            None => drop(fs::remove_file(&file)),
        }
        let r1 = weights.0.map(|weight| ("r1:80", weight));
        let servers: Vec<_> = r1.into_iter().chain([("r2:80", 10)]).collect();
        lan.await_listed(plain, &servers);
        lan.await_listed(weighed, &[("r1:8080", weights.1), ("r2:8080", 10)]);
        let who: &[&str] = if weights.0.is_some() {
            &["r1", "r2"]
        } else {
            &["r2"]
        };
        lan.await_answers(who, || page(&lan));
    }
    assert!(
        daemon.said().contains("FILE_CHECK failed: file says no: 3"),
        "{}",
        daemon.said()
    );
}
