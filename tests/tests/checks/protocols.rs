//! Mail servers, name servers, UDP servers and hosts.

use tests::command::{eventually, text};
use tests::health::{real_server, virtual_server};
use tests::process::PATIENCE;
use tests::{Conduct, Lan, Lvsd, Plan, UdpAsk};

use crate::{Pair, V4, page};

/// Who greets at port 25 of the VIP.
fn greeting(lan: &Lan) -> String {
    let smtp = format!("smtp://{}", V4.vip());
    let out = lan
        .client
        .curl(&["-v", "--max-time", "3", "--crlf", "-X", "HELP", &smtp]);
    let said = text(&out.stderr);
    let name = said
        .split("< 220 ")
        .nth(1)
        .and_then(|rest| rest.split('.').next());
    name.unwrap_or_default().to_owned()
}

#[test]
fn mail_servers_greet() {
    let lan = Plan::two_arms(2).build();
    let mut r1 = lan.servers[0].mail(25);
    let _r2 = lan.servers[1].mail(25);
    let check = "SMTP_CHECK {\n helo_name director.test\n }";
    let pair = Pair::start(lan, ("TCP", 25), check, greeting);
    pair.freeze_and_thaw(&r1.server, "SMTP_CHECK failed: no complete answer in time");
    pair.kill_and_restart(&mut r1.server, "SMTP_CHECK failed: connection refused");
}

#[test]
fn mail_servers_go_wrong() {
    use Conduct::{Closes, Greets, Hangs, Refuses};
    let lan = Plan::two_arms(2).build();
    let _r2 = lan.servers[1].mail(25);
    let mut r1 = lan.servers[0].faulty(25, Hangs);
    let servers = [0, 1].map(|i| real_server(lan.server(V4, i), 25, "SMTP_CHECK {\n }"));
    let conf = virtual_server(format!("{} 25", V4.vip()), "TCP", "", &servers);
    let _daemon = Lvsd::configured(&lan, conf).start();
    for (conduct, why) in [
        (Hangs, "no complete answer in time"),
        (
            Greets("554 go away\r\n".to_owned()),
            "unwanted status: greeting: 554",
        ),
        (
            Greets("220 r1.test\r\n".to_owned()),
            "no complete answer in time",
        ),
        (Greets("hello\r\n".to_owned()), "malformed answer"),
        (Closes, "closed too early"),
        (Refuses, "connection refused"),
        (
            Greets("220 ".to_owned() + &"x".repeat(1 << 20)),
            "answer too long",
        ),
    ] {
        r1.turn(conduct.clone());
        let found = || lan.status().contains(why);
        assert!(eventually(PATIENCE, found), "{conduct:?}: {}", lan.status());
        lan.await_listed("TCP", &[("r2:25", 1)]);
    }
    assert_eq!(greeting(&lan), "r2");
    drop(r1);
    let _r1 = lan.servers[0].mail(25);
    lan.await_listed("TCP", &[("r1:25", 1), ("r2:25", 1)]);
    lan.await_answers(&["r1", "r2"], || greeting(&lan));
}

/// Who answers DNS questions at the VIP.
fn resolver(lan: &Lan) -> String {
    let at = format!("@{}", V4.vip());
    let out = lan
        .client
        .output(&["timeout", "3", "drill", "who.example.test", "A", &at]);
    let said = text(&out.stdout);
    let who = ["r1", "r2"].into_iter().zip(["10.1.1.1", "10.1.1.2"]);
    let mut who = who.filter(|(_, address)| said.contains(&format!("\t{address}\n")));
    who.next()
        .map_or_else(String::new, |(name, _)| name.to_owned())
}

#[test]
fn name_servers_answer() {
    let lan = Plan::two_arms(2).build();
    let mut dns = [0, 1].map(|i: usize| {
        let records = [format!("who.example.test. A 10.1.1.{}", i + 1)];
        lan.servers[i].dns(&[&records[0]])
    });
    let check =
        "DNS_CHECK {\n type A\n name who.example.test\n retry 1\n delay_before_retry 0.1\n }";
    let pair = Pair::start(lan, ("UDP", 53), check, resolver);
    pair.kill_and_restart(&mut dns[0], "DNS_CHECK failed: connection refused");
    pair.freeze_and_thaw(&dns[0], "DNS_CHECK failed: no complete answer in time");
}

/// By the code of the answer: what is asked is known, unknown, refused, or the root's SOA, which is what is asked for if nothing
/// is said.
#[test]
fn name_servers_answer_with_an_error() {
    let lan = Plan::two_arms(1).build();
    let _dns = lan.servers[0].dns(&["who.example.test. A 10.1.1.1"]);
    let ip = lan.server(V4, 0);
    let service = |port: u16, lines: &str| {
        let check = format!(
            "DNS_CHECK {{\n connect_port 53\n retry 1\n delay_before_retry 0.1\n {lines}\n }}"
        );
        virtual_server(
            format!("{} {port}", V4.vip()),
            "UDP",
            "",
            &[real_server(ip, port, check)],
        )
    };
    let conf = [
        service(5001, "type A\n name who.example.test"),
        service(5002, ""),
        service(5003, "type A\n name nobody.test"),
        service(5004, "type A\n name www.refused.test"),
    ];
    let daemon = Lvsd::configured(&lan, conf.concat()).start();
    lan.await_listed("UDP  10.9.0.100:5003 ", &[]);
    lan.await_listed("UDP  10.9.0.100:5004 ", &[]);
    lan.await_listed("UDP  10.9.0.100:5001 ", &[("r1:5001", 1)]);
    lan.await_listed("UDP  10.9.0.100:5002 ", &[("r1:5002", 1)]);
    let said = daemon.said();
    for why in ["code 3 (NXDOMAIN)", "code 5 (REFUSED)"] {
        assert!(
            said.contains(&format!("DNS_CHECK failed: unwanted status: {why}")),
            "{why}: {said}"
        );
    }
}

fn echo(lan: &Lan) -> String {
    UdpAsk::new(V4.vip(), 7000).from(&lan.client).remove(0)
}

#[test]
fn datagrams_come_back() {
    let lan = Plan::two_arms(2).build();
    let mut servers = lan.echo(&[7000]);
    // "hello", and as an answer "r", some digit, a line end and the same.
    let check = "UDP_CHECK {\n payload 68656c6c6f\n require_reply 723x0a68656c6c6f\n min_reply_length 8\n }";
    let pair = Pair::start(lan, ("UDP", 7000), check, echo);
    pair.kill_and_restart(&mut servers[0], "UDP_CHECK failed: connection refused");
    pair.freeze_and_thaw(&servers[0], "UDP_CHECK failed: no complete answer in time");
    pair.unplug_and_plug("UDP_CHECK failed: ");
}

/// Only a refusal is a failure if no answer is asked for.
#[test]
fn datagrams_are_refused_or_answered_wrongly() {
    let lan = Plan::two_arms(1).build();
    let mut server = lan.servers[0].faulty_udp(7000, Conduct::Hangs);
    let ip = lan.server(V4, 0);
    let service = |port: u16, lines: &str| {
        let check = format!("UDP_CHECK {{\n connect_port 7000\n payload 61\n {lines}\n }}");
        virtual_server(
            format!("{} {port}", V4.vip()),
            "UDP",
            "",
            &[real_server(ip, port, check)],
        )
    };
    let conf = [
        service(5001, ""),
        service(5002, "require_reply"),
        service(5003, "require_reply 6f6b"),
        service(5004, "require_reply 6f6b\n max_reply_length 2"),
    ];
    let _daemon = Lvsd::configured(&lan, conf.concat()).start();
    for (conduct, up) in [
        (Conduct::Hangs, [true, false, false, false]),
        (Conduct::Answers("ok".to_owned()), [true; 4]),
        (
            Conduct::Answers("okay".to_owned()),
            [true, true, true, false],
        ),
        (
            Conduct::Answers("no".to_owned()),
            [true, true, false, false],
        ),
        (Conduct::Refuses, [false; 4]),
        (Conduct::Answers("ok".to_owned()), [true; 4]),
    ] {
        server.turn(conduct);
        for (port, up) in (5001..).zip(up) {
            let one = [(&*format!("r1:{port}"), 1)];
            let wanted = if up { &one[..] } else { &[] };
            lan.await_listed(&format!("UDP  10.9.0.100:{port} "), wanted);
        }
    }
}

#[test]
fn hosts_answer_echoes() {
    let lan = Plan::two_arms(2).build();
    let _web = lan.web();
    let pair = Pair::start(lan, ("TCP", 80), "PING_CHECK {\n }", page);
    pair.unplug_and_plug("PING_CHECK failed: ");
    // What answers is the host: its programs are of no interest.
    pair.lan.servers[0].sysctl(&[("net.ipv4.icmp_echo_ignore_all", "1")]);
    pair.await_failure("PING_CHECK failed: no complete answer in time");
    pair.lan.servers[0].sysctl(&[("net.ipv4.icmp_echo_ignore_all", "0")]);
    pair.await_both();
}
