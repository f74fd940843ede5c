//! Who serves when servers fail: the sorry server, a quorum with hysteresis, weights; what scripts are told; and services of every
//! kind, from keepalived.conf to real connections.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use tests::command::{eventually, text};
use tests::health::{Notes, Switch, real_server, virtual_server};
use tests::process::PATIENCE;
use tests::traffic::url;
use tests::{Conduct, Family, Lvsd, Plan, http, spread};

const V4: Family = Family::V4;

fn vip(family: Family, port: u16) -> String {
    format!("{} {port}", family.vip())
}

fn table_line(family: Family) -> &'static str {
    match family {
        Family::V4 => "TCP  10.9.0.100:80 ",
        Family::V6 => "TCP  [fd00:9::100]:80 ",
    }
}

/// r1 and r2 fail one after the other, r3 is the sorry server.
fn all_fail_and_recover(family: Family, lines: &str, server_lines: &str) {
    let lan = Plan::two_arms(3).build();
    let _web = lan.web();
    let switches = ["one", "two"].map(|name| Switch::new(&lan, name));
    let mut conf: String = switches.iter().map(Switch::block).collect();
    let servers = [0, 1].map(|i| {
        let lines = format!("weight 3\n {server_lines}\n {}", switches[i].check());
        real_server(lan.server(family, i), 80, lines)
    });
    let sorry = format!("sorry_server {} 80\n {lines}", lan.server(family, 2));
    conf += &virtual_server(vip(family, 80), "TCP", &sorry, &servers);
    let daemon = Lvsd::configured(&lan, conf).start();
    let (stays, inhibits) = (lines.contains("inhibit"), server_lines.contains("inhibit"));
    let listed = |up: [bool; 2], sorry: bool| {
        let mut wanted: Vec<(&str, u32)> = Vec::new();
        for (name, up) in [("r1:80", up[0]), ("r2:80", up[1])] {
            match up && !sorry {
                true => wanted.push((name, 3)),
                false if inhibits => wanted.push((name, 0)),
                false => {}
            }
        }
        match sorry {
            true => wanted.push(("r3:80", 1)),
            false if stays => wanted.push(("r3:80", 0)),
            false => {}
        }
        lan.await_listed(table_line(family), &wanted);
    };
    let serve = |who: &[&str]| lan.await_answers(who, || lan.page(family));
    listed([true, true], false);
    serve(&["r1", "r2"]);
    switches[0].fail();
    listed([false, true], false);
    serve(&["r2"]);
    switches[1].fail();
    listed([false, false], true);
    serve(&["r3"]);
    switches[1].recover();
    listed([false, true], false);
    serve(&["r2"]);
    switches[0].recover();
    listed([true, true], false);
    serve(&["r1", "r2"]);
    let (adds, removes) = match stays {
        true => ("Enabling sorry server", "Disabling sorry server"),
        false => ("Adding sorry server", "Removing sorry server"),
    };
    for line in [adds, removes, "Lost quorum 1-0=1 > 0"] {
        assert_eq!(
            daemon.said().matches(line).count(),
            1,
            "{line}: {}",
            daemon.said()
        );
    }
}

#[test]
fn the_sorry_server_serves() {
    all_fail_and_recover(V4, "", "");
}

#[test]
fn the_sorry_server_serves_over_ipv6() {
    all_fail_and_recover(Family::V6, "", "");
}

#[test]
fn the_sorry_server_stays_in_the_list() {
    all_fail_and_recover(V4, "sorry_server_inhibit", "");
}

#[test]
fn the_sorry_server_beside_inhibited_servers() {
    all_fail_and_recover(V4, "", "inhibit_on_failure");
}

#[test]
fn nobody_is_left() {
    let lan = Plan::two_arms(1).build();
    let _web = lan.web();
    let switch = Switch::new(&lan, "one");
    let servers = [real_server(lan.server(V4, 0), 80, switch.check())];
    let conf = switch.block() + &virtual_server(vip(V4, 80), "TCP", "", &servers);
    let _daemon = Lvsd::configured(&lan, conf).start();
    lan.await_answers(&["r1"], || lan.page(V4));
    switch.fail();
    lan.await_listed("TCP", &[]);
    // Refused, not left waiting.
    let out = lan.client.curl(&[&url(V4.vip(), "/")]);
    assert_eq!(out.status.code(), Some(7), "{}", text(&out.stderr));
    switch.recover();
    lan.await_answers(&["r1"], || lan.page(V4));
}

/// Gained at quorum + hysteresis, lost below quorum − hysteresis. Scripts run in order, with their words and what they should know.
#[test]
fn quorum_and_hysteresis() {
    let lan = Plan::two_arms(4).build();
    let _web = lan.web();
    let notes = Notes::new(&lan);
    let switches = ["one", "two", "three"].map(|name| Switch::new(&lan, name));
    let mut conf: String = switches.iter().map(Switch::block).collect();
    let servers: Vec<_> = (0..3)
        .map(|i| {
            let scripts = format!(
                "notify_up {}\n notify_down {}\n weight 2\n",
                notes.command("up 'one word'"),
                notes.command("down")
            );
            real_server(lan.server(V4, i), 80, scripts + &switches[i].check())
        })
        .collect();
    let lines = format!(
        "quorum 4\n hysteresis 2\n quorum_up {}\n quorum_down {}\n sorry_server {} 80",
        notes.command("quorum-up"),
        notes.command("quorum-down a \\\"b c\\\""),
        lan.server(V4, 3)
    );
    conf += &virtual_server(vip(V4, 80), "TCP", &lines, &servers);
    let daemon = Lvsd::configured(&lan, conf).start();
    let of = "LVSD_SERVICE=[10.9.0.100]:tcp:80;";
    let server = |i: usize, up: bool| {
        let (words, event, reason) = match up {
            true => ("up one word", "server-up", "FILE_CHECK success"),
            false => ("down", "server-down", "FILE_CHECK failed: file says no: 1"),
        };
        let addr = lan.server(V4, i);
        format!(
            "{words}: LVSD_EVENT={event};LVSD_REASON={reason};LVSD_SERVER=[{addr}]:tcp:80;{of}LVSD_WEIGHT=2;"
        )
    };
    let quorum = |words: &str, event: &str, live: u32| {
        format!("{words}: LVSD_EVENT={event};LVSD_HYSTERESIS=2;LVSD_LIVE={live};LVSD_QUORUM=4;{of}")
    };
    // At the start the quorum is gained, and that servers are up is no news.
    assert_eq!(notes.take(1), [quorum("quorum-up", "quorum-up", 6)]);
    switches[0].fail();
    assert_eq!(notes.take(1), [server(0, false)]);
    switches[1].fail();
    assert_eq!(notes.take(1), [server(1, false)]);
    lan.await_listed("TCP", &[("r3:80", 2)]);
    // 2 is not below 4 − 2.
    assert!(!daemon.said().contains("Lost quorum"));
    switches[2].fail();
    let lost = quorum("quorum-down a b c", "quorum-down", 0);
    assert_eq!(sorted(notes.take(2)), sorted([server(2, false), lost]));
    lan.await_listed("TCP", &[("r4:80", 1)]);
    for i in [0, 1] {
        switches[i].recover();
        assert_eq!(notes.take(1), [server(i, true)]);
    }
    // 4 is less than 4 + 2.
    lan.await_listed("TCP", &[("r4:80", 1)]);
    lan.await_answers(&["r4"], || lan.page(V4));
    switches[2].recover();
    let gained = quorum("quorum-up", "quorum-up", 6);
    assert_eq!(sorted(notes.take(2)), sorted([server(2, true), gained]));
    lan.await_answers(&["r1", "r2", "r3"], || lan.page(V4));
    for line in ["Gained quorum 4+2=6 <= 6", "Lost quorum 4-2=2 > 0"] {
        assert!(daemon.said().contains(line), "{line}: {}", daemon.said());
    }
}

/// Scripts about different things run side by side.
fn sorted(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = lines.into_iter().collect();
    lines.sort();
    lines
}

/// With omega, the end of the daemon is told to scripts; without, it is not.
#[test]
fn the_end_is_told_where_that_is_wanted() {
    let lan = Plan::two_arms(1).build();
    let notes = Notes::new(&lan);
    let service = |port: u16, lines: &str| {
        let scripts = format!("notify_down {}", notes.command(&format!("down {port}")));
        let quorum = format!(
            "{lines}\n quorum_down {}",
            notes.command(&format!("lost {port}"))
        );
        let servers = [real_server(lan.server(V4, 0), port, scripts)];
        virtual_server(vip(V4, port), "TCP", &quorum, &servers)
    };
    let conf = service(80, "omega") + &service(81, "");
    let daemon = Lvsd::configured(&lan, conf).start();
    assert!(notes.lines().is_empty());
    let (status, said) = daemon.stop("TERM");
    assert_eq!(status.code(), Some(0), "{said}");
    let told = sorted(notes.take(2));
    let starts = [
        "down 80: LVSD_EVENT=server-down;LVSD_REASON=shutting down;",
        "lost 80: LVSD_EVENT=quorum-down;",
    ];
    for (line, start) in told.iter().zip(starts) {
        assert!(line.starts_with(start), "{told:#?}");
    }
}

/// With alpha, a server must show that it is well before it serves, and then its script is run; without, it serves at once.
#[test]
fn servers_are_down_or_up_at_the_start() {
    let lan = Plan::two_arms(2).build();
    let notes = Notes::new(&lan);
    let mut r1 = lan.servers[0].faulty(80, Conduct::Refuses);
    let _r2 = lan.servers[1].faulty(80, Conduct::Answers(http(200, "r2")));
    let check = "HTTP_GET {\n url {\n path /\n }\n }";
    let scripts = format!(
        "notify_up {}\n notify_down {}\n",
        notes.command("up"),
        notes.command("down")
    );
    let service = |head: String, lines: &str, server: usize| {
        let server = real_server(lan.server(V4, server), 80, scripts.clone() + check);
        let quorum = format!("{lines}\n quorum_up {}", notes.command("quorum"));
        virtual_server(head, "TCP", &quorum, &[server])
    };
    let conf = service(vip(V4, 80), "alpha", 0)
        + &service(vip(V4, 81), "warmup 3600", 1).replace("warmup 0", "");
    let _daemon = Lvsd::configured(&lan, conf).start();
    // Found to be down is news too, once.
    let told = sorted(notes.take(2));
    assert!(
        told[0].starts_with("down: ") && told[0].contains("connection refused"),
        "{told:#?}"
    );
    let other = told[1].starts_with("quorum: ") && told[1].contains("[10.9.0.100]:tcp:81;");
    assert!(other, "{told:#?}");
    lan.await_listed("TCP  10.9.0.100:80 ", &[]);
    lan.await_listed("TCP  10.9.0.100:81 ", &[("r2:80", 1)]);
    r1.turn(Conduct::Answers(http(200, "r1")));
    lan.await_listed("TCP  10.9.0.100:80 ", &[("r1:80", 1)]);
    lan.await_answers(&["r1"], || lan.page(V4));
    let told = sorted(notes.take(2));
    assert!(
        told[0].starts_with("quorum: ") && told[1].starts_with("up: "),
        "{told:#?}"
    );
}

/// With ha_suspend, checks rest while the virtual address is not on this host, and servers keep the state that they had.
#[test]
fn checks_rest_where_the_address_is_not() {
    let lan = Plan::two_arms(1).build();
    let mut server = lan.servers[0].faulty(80, Conduct::Refuses);
    let servers = [real_server(
        lan.server(V4, 0),
        80,
        "HTTP_GET {\n url {\n path /\n }\n }",
    )];
    let conf = virtual_server(vip(V4, 80), "TCP", "ha_suspend", &servers);
    let daemon = Lvsd::configured(&lan, conf).start();
    server.turn(Conduct::Answers(http(200, "r1")));
    let says = |line: &str| {
        let said = || daemon.said().contains(line);
        assert!(eventually(PATIENCE, said), "{line}: {}", daemon.said());
    };
    says("Suspending checks");
    thread::sleep(Duration::from_secs(1));
    assert!(server.asked().is_empty(), "{:?}", server.asked());
    lan.director.ip("addr add 10.9.0.100/32 dev eth0\n");
    says("Activating checks");
    assert!(eventually(PATIENCE, || !server.asked().is_empty()));
    lan.await_checked();
    server.turn(Conduct::Refuses);
    lan.await_listed("TCP", &[]);
    lan.director.ip("addr del 10.9.0.100/32 dev eth0\n");
    let rests = || daemon.said().matches("Suspending checks").count() == 2;
    assert!(eventually(PATIENCE, rests), "{}", daemon.said());
    server.turn(Conduct::Answers(http(200, "r1")));
    let asked = server.asked().len();
    thread::sleep(Duration::from_secs(1));
    // One may have been on its way.
    assert!(server.asked().len() <= asked + 1, "{:?}", server.asked());
    lan.await_listed("TCP", &[]);
    lan.director.ip("addr add 10.9.0.100/32 dev eth0\n");
    lan.await_listed("TCP", &[("r1:80", 1)]);
}

#[test]
fn weights_are_of_the_server_or_else_of_the_service() {
    let lan = Plan::two_arms(3).build();
    let _web = lan.web();
    let servers = ["weight 1", "", "weight 0"];
    let servers: Vec<_> = (0..3)
        .zip(servers)
        .map(|(i, lines)| real_server(lan.server(V4, i), 80, lines))
        .collect();
    let conf = virtual_server(vip(V4, 80), "TCP", "weight 3", &servers)
        .replace("lb_algo rr", "lb_algo wrr");
    let _daemon = Lvsd::configured(&lan, conf).start();
    lan.await_listed("TCP", &[("r1:80", 1), ("r2:80", 3), ("r3:80", 0)]);
    let answers = lan.client.fetch(&url(V4.vip(), "/"), 40);
    let counts = spread(&answers);
    assert_eq!((counts["r1"], counts["r2"]), (10, 30), "{counts:?}");
}

/// A group: addresses in a row, another port, a mark, one pool of servers behind all of them.
#[test]
fn a_group_of_addresses_and_marks() {
    let lan = Plan::two_arms(2).build();
    let _web = lan.web();
    let notes = Notes::new(&lan);
    let switch = Switch::new(&lan, "one");
    let servers = [
        real_server(lan.server(V4, 0), 80, switch.check()),
        real_server(
            lan.server(V4, 1),
            80,
            format!("notify_down {}", notes.command("down")),
        ),
    ];
    let group = "virtual_server_group web {\n 10.9.0.100-102 80\n 10.9.0.110 8080\n fwmark 7\n}\n";
    let lines = format!("quorum_up {}", notes.command("up"));
    let conf = [
        &switch.block(),
        group,
        &virtual_server("group web", "TCP", &lines, &servers),
    ]
    .concat();
    let mark = "--mark 7 --destination 10.9.0.120 --protocol tcp --destination-port 80\n";
    let _daemon = Lvsd::configured(&lan, conf).rules(mark).start();
    let told = notes.take(1).remove(0);
    assert!(told.contains("LVSD_SERVICE=[web]:0;"), "{told}");
    let services = [
        "TCP  10.9.0.100:80 ",
        "TCP  10.9.0.101:80 ",
        "TCP  10.9.0.102:80 ",
        "TCP  10.9.0.110:8080 ",
        "FWM  7 ",
    ];
    let pages = [
        "10.9.0.100",
        "10.9.0.101",
        "10.9.0.102",
        "10.9.0.110:8080",
        "10.9.0.120",
    ];
    let serve = |who: &[&str]| {
        let listed: Vec<_> = who.iter().map(|name| format!("{name}:80")).collect();
        let listed: Vec<_> = listed.iter().map(|name| (&**name, 1)).collect();
        for (service, page) in services.into_iter().zip(pages) {
            lan.await_listed(service, &listed);
            lan.await_answers(who, || {
                let out = lan.client.curl(&["-m", "3", &format!("http://{page}/")]);
                text(&out.stdout).trim().to_owned()
            });
        }
    };
    serve(&["r1", "r2"]);
    switch.fail();
    serve(&["r2"]);
    switch.recover();
    serve(&["r1", "r2"]);
    assert!(notes.lines().is_empty(), "{:?}", notes.lines());
}

#[test]
fn a_service_by_firewall_mark() {
    for family in Family::BOTH {
        let lan = Plan::two_arms(2).build();
        let mut web = lan.web();
        let servers = [0, 1].map(|i| real_server(lan.server(family, i), 80, "TCP_CHECK {\n }"));
        let lines = match family {
            Family::V4 => "",
            Family::V6 => "ip_family inet6",
        };
        let conf = virtual_server("fwmark 7", "", lines, &servers);
        let mark = format!(
            "--mark 7 --destination {} --protocol tcp --destination-port 80\n",
            family.vip()
        );
        let _daemon = Lvsd::configured(&lan, conf).rules(mark).start();
        let serve = |who: &[&str]| lan.await_answers(who, || lan.page(family));
        serve(&["r1", "r2"]);
        web[0].kill();
        serve(&["r2"]);
        web[0].restart();
        serve(&["r1", "r2"]);
    }
}

/// A client belongs to one server by its address: when that one fails, with the fallback flag to another, and without to nobody as
/// long as the server stays in the list.
#[test]
fn flags_of_hashing_schedulers() {
    for scheduler in ["sh", "mh"] {
        let lan = Plan::two_arms(2).build();
        let _web = lan.web();
        let switches = ["one", "two"].map(|name| Switch::new(&lan, name));
        let servers = [0, 1].map(|i| real_server(lan.server(V4, i), 80, switches[i].check()));
        let service = |port: u16, lines: &str| {
            let lines = format!("inhibit_on_failure\n {lines}");
            let conf = virtual_server(vip(V4, port), "TCP", "", &servers);
            conf.replace("lb_algo rr", &format!("lb_algo {scheduler}\n {lines}"))
        };
        let conf = [
            switches.iter().map(Switch::block).collect(),
            service(80, &format!("{scheduler}-fallback\n {scheduler}-port")),
            service(81, &format!("{scheduler}-fallback")),
            service(82, ""),
        ];
        let _daemon = Lvsd::configured(&lan, conf.concat()).start();
        let table = lan.lvsd(&["adm", "-Ln"]);
        for line in [
            format!("TCP  10.9.0.100:80 {scheduler} ({scheduler}-fallback,{scheduler}-port)"),
            format!("TCP  10.9.0.100:81 {scheduler} ({scheduler}-fallback)"),
            format!("TCP  10.9.0.100:82 {scheduler}\n"),
        ] {
            assert!(table.contains(&line), "{line}: {table}");
        }
        let page = |port: u16| {
            let out = lan
                .client
                .curl(&["-m", "3", &format!("http://{}:{port}/", V4.vip())]);
            text(&out.stdout).trim().to_owned()
        };
        let many: Vec<_> = (0..30).map(|_| page(80)).collect();
        assert_eq!(spread(&many).len(), 2, "by port too: {many:?}");
        let own = page(82);
        assert_eq!(page(81), own);
        assert_eq!(page(82), own);
        let other = if own == "r1" { "r2" } else { "r1" };
        switches[usize::from(own == "r2")].fail();
        lan.await_answers(&[other], || page(81));
        lan.await_answers(&[""], || page(82));
        switches[usize::from(own == "r2")].recover();
        lan.await_answers(&[&own], || page(81));
        lan.await_answers(&[&own], || page(82));
    }
}

#[test]
fn everything_over_ipv6() {
    let lan = Plan::two_arms(2).build();
    let mut web = lan.web();
    let ip = |i| -> IpAddr { lan.server(Family::V6, i) };
    let check = "HTTP_GET {\n url {\n path /\n }\n }\n TCP_CHECK {\n }\n PING_CHECK {\n }";
    let servers = [0, 1].map(|i| real_server(ip(i), 80, check));
    let conf = virtual_server(vip(Family::V6, 80), "TCP", "", &servers);
    let _daemon = Lvsd::configured(&lan, conf).start();
    let serve = |who: &[&str]| lan.await_answers(who, || lan.page(Family::V6));
    lan.await_checked();
    serve(&["r1", "r2"]);
    web[0].kill();
    serve(&["r2"]);
    web[0].restart();
    serve(&["r1", "r2"]);
    lan.unplug(&lan.servers[0], "eth0");
    serve(&["r2"]);
    lan.plug(&lan.servers[0], "eth0");
    serve(&["r1", "r2"]);
}
