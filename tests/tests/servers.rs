//! The servers that checks are tested with, asked by real clients: what the suites about checks rely on.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tests::command::{output, text};
use tests::traffic::url;
use tests::{Authority, Conduct, Family, Lan, Node, Plan, UdpAsk, http};

/// Exit statuses of curl.
mod curl {
    pub(super) const NO_CONNECTION: i32 = 7;
    pub(super) const TOO_SLOW: i32 = 28;
    pub(super) const NOTHING: i32 = 52;
    pub(super) const RESET: i32 = 56;
    pub(super) const NOT_TRUSTED: i32 = 60;
}

/// A LAN of one real server, asked by the director, which is next to it.
fn one_server() -> (Lan, IpAddr) {
    let lan = Plan::two_arms(1).build();
    let ip = lan.server(Family::V4, 0);
    (lan, ip)
}

/// For questions that shall not be answered, as others may take their time.
const SHORTLY: [&str; 2] = ["--max-time", "2"];

/// curl's exit status, the page, and complaints.
fn ask(lan: &Lan, words: &[&str]) -> (i32, String, String) {
    let out = lan.director.curl(words);
    let status = out.status.code().expect("nobody kills curl");
    (status, text(&out.stdout), text(&out.stderr))
}

#[track_caller]
fn assert_answers(lan: &Lan, words: &[&str], page: &str) {
    let (status, said, complaint) = ask(lan, words);
    assert_eq!((status, &*said), (0, page), "{complaint}");
}

#[track_caller]
fn assert_fails(lan: &Lan, words: &[&str], with: i32) {
    let limit = match with {
        curl::TOO_SLOW => &SHORTLY[..],
        _ => &[],
    };
    let (status, said, complaint) = ask(lan, &[limit, words].concat());
    assert_eq!(status, with, "{complaint}{said:.1000}");
}

#[test]
fn tls_is_trusted_by_those_who_know_the_authority_until_it_expires() {
    let lan = Plan::two_arms(1).build();
    let server = &lan.servers[0];
    let authority = Authority::of(&lan);
    let [v4, v6] = Family::BOTH.map(|family| lan.server(family, 0));
    let names = ["www.example.test", &v4.to_string(), &v6.to_string()];
    let _good = server.web_tls(&[443], &authority.certificate(&names));
    let _old = server.web_tls(&[8443], &authority.expired(&names));
    let ca = authority.file();
    let trust = ["--cacert", ca.to_str().unwrap()];
    for ip in [v4, v6] {
        let page = |path| url(ip, path).replace("http:", "https:");
        assert_answers(&lan, &[&trust[..], &[&page("/")]].concat(), "r1\n");
        assert_fails(&lan, &[&page("/")], curl::NOT_TRUSTED);
        let old = page(":8443/");
        let (status, _, complaint) = ask(&lan, &[&trust[..], &[&old]].concat());
        assert_eq!(status, curl::NOT_TRUSTED);
        assert!(complaint.contains("expired"), "{complaint}");
        assert_answers(&lan, &["--insecure", &old], "r1\n");
    }
    let asked = "https://www.example.test/asked";
    let resolve = format!("www.example.test:443:{v4}");
    let words = ["--resolve", &resolve, "--http1.0", "--tls-max", "1.2"];
    let words = [&trust[..], &words, &["-H", "Host: virtual", asked]].concat();
    assert_answers(&lan, &words, "virtual HTTP/1.0 www.example.test\n");
}

#[test]
fn pages_change_and_go() {
    let (lan, ip) = one_server();
    let _web = lan.web();
    let page = url(ip, "/files/health");
    for content in ["fine\n", "not so fine\n"] {
        fs::write(lan.servers[0].stored("health"), content).unwrap();
        assert_answers(&lan, &[&page], content);
    }
    fs::remove_file(lan.servers[0].stored("health")).unwrap();
    let (status, _, complaint) = ask(&lan, &["--fail", &page]);
    assert!(
        status != 0 && complaint.contains("404"),
        "{status} {complaint}"
    );
}

#[test]
fn servers_are_killed_frozen_and_come_back() {
    let (lan, ip) = one_server();
    let mut web = lan.web().remove(0);
    let page = url(ip, "/");
    assert_answers(&lan, &[&page], "r1\n");
    web.freeze();
    assert_fails(&lan, &[&page], curl::TOO_SLOW);
    web.thaw();
    assert_answers(&lan, &[&page], "r1\n");
    web.kill();
    assert_fails(&lan, &[&page], curl::NO_CONNECTION);
    web.restart();
    assert_answers(&lan, &[&page], "r1\n");
    web.freeze();
    web.restart();
    assert_answers(&lan, &[&page], "r1\n");

    let mut echo = lan.servers[0].echo(7000);
    let ask = || UdpAsk::new(ip, 7000).from(&lan.director);
    assert_eq!(ask(), ["r1"]);
    echo.freeze();
    assert_eq!(ask(), ["lost"]);
    echo.kill();
    assert_eq!(ask(), ["ECONNREFUSED"]);
    echo.restart();
    assert_eq!(ask(), ["r1"]);
}

#[test]
fn a_host_is_unplugged_and_plugged() {
    let lan = Plan::two_arms(1).build();
    let _web = lan.web();
    for family in Family::BOTH {
        let page = url(lan.server(family, 0), "/");
        assert_answers(&lan, &[&page], "r1\n");
        lan.unplug(&lan.servers[0], "eth0");
        assert_ne!(ask(&lan, &[&page]).0, 0);
        lan.plug(&lan.servers[0], "eth0");
        let words = ["--retry", "30", "--retry-all-errors", "--retry-delay", "1"];
        assert_answers(&lan, &[&words[..], &[&page]].concat(), "r1\n");
    }
}

#[test]
fn mails_arrive() {
    let (lan, ip) = one_server();
    let mut mail = lan.servers[0].mail(25);
    assert!(mail.arrived().is_empty());
    let letter = lan.director.file("letter");
    fs::write(&letter, "Subject: down\r\n\r\nr1 is down\r\n").unwrap();
    let smtp = format!("smtp://{ip}/director.test");
    let words = ["--mail-from", "lvsd@director.test", "--mail-rcpt"];
    let send = |to: &str| {
        let rest = [to, "-T", letter.to_str().unwrap(), &smtp];
        assert_answers(&lan, &[&words[..], &rest].concat(), "");
    };
    send("ops@example.test");
    let [first] = &mail.await_arrived(1)[..] else {
        panic!("one was sent");
    };
    for line in [
        "Return-path: <lvsd@director.test>\n",
        "Envelope-to: ops@example.test\n",
        "helo=director.test",
        "Subject: down\n",
        "\n\nr1 is down\n",
    ] {
        assert!(first.contains(line), "no {line} in {first}");
    }
    let words = ["-v", "--crlf", "-X", "HELP", &smtp];
    let (status, said, complaint) = ask(&lan, &words);
    assert_eq!(status, 0, "{said}{complaint}");
    assert!(complaint.contains("220 r1.test ESMTP"), "{complaint}");
    mail.server.freeze();
    assert_fails(&lan, &[&smtp], curl::TOO_SLOW);
    mail.server.restart();
    send("boss@example.test");
    let second = &mail.await_arrived(2)[1];
    assert!(second.contains("boss@example.test"), "{second}");
}

#[test]
fn names_are_known_unknown_or_refused() {
    let lan = Plan::two_arms(1).build();
    let _dns = lan.servers[0].dns(&[
        "www.example.test. A 10.1.2.3",
        "example.test. MX 10 mail.example.test.",
    ]);
    for family in Family::BOTH {
        let server = format!("@{}", lan.server(family, 0));
        for (question, options) in [
            (["www.example.test", "A", "10.1.2.3"], &[][..]),
            (["www.example.test", "A", "10.1.2.3"], &["-t"]),
            (["example.test", "MX", "mail.example.test"], &[]),
            ([".", "SOA", "rcode: NOERROR"], &[]),
            (["www.example.test", "AAAA", "ANSWER: 0"], &[]),
            (["nobody.test", "A", "rcode: NXDOMAIN"], &[]),
            (["www.refused.test", "A", "rcode: REFUSED"], &[]),
        ] {
            let [name, kind, answer] = question;
            let said = lan
                .director
                .run(&[&["drill"], options, &[name, kind, &server]].concat());
            assert!(said.contains(answer), "{question:?}: {said}");
        }
    }
}

#[test]
fn each_conduct_is_as_it_says() {
    use Conduct::{
        Answers, Closes, Drips, EndlessHeader, EndlessPage, Garbles, Greets, Hangs, Refuses, Resets,
    };
    let lan = Plan::two_arms(1).build();
    let mut server = lan.servers[0].faulty(80, Answers(http(200, "fine")));
    for family in Family::BOTH {
        let page = url(lan.server(family, 0), "/");
        for _ in 0..2 {
            server.turn(Answers(http(200, "fine")));
            assert_answers(&lan, &["--fail", &page], "fine");
            server.turn(Answers(http(503, "busy")));
            let (_, code, _) = ask(&lan, &["-o", "/dev/null", "-w", "%{http_code}", &page]);
            assert_eq!(code, "503");
            for (conduct, status) in [
                (Refuses, curl::NO_CONNECTION),
                (Hangs, curl::TOO_SLOW),
                (Closes, curl::NOTHING),
                (Refuses, curl::NO_CONNECTION),
                (Resets, curl::RESET),
            ] {
                server.turn(conduct);
                assert_fails(&lan, &[&page], status);
            }
        }
        for (conduct, status) in [
            (EndlessPage, curl::TOO_SLOW),
            (Drips(http(200, "fine")), curl::TOO_SLOW),
        ] {
            server.turn(conduct.clone());
            let words = ["-o", "/dev/null", "-w", "%{size_download}", &page];
            let (is, size, complaint) = ask(&lan, &[&SHORTLY[..], &words].concat());
            assert_eq!(is, status, "{conduct:?}: {complaint}");
            let size: u64 = size.parse().unwrap();
            assert_eq!(size > 100_000, conduct == EndlessPage, "{size}");
        }
        server.turn(Garbles);
        let sized = ["-o", "/dev/null", "-w", "%{size_download}", "--http0.9"];
        assert_answers(&lan, &[&sized[..], &[&page]].concat(), "4096");
        server.turn(EndlessHeader);
        // curl has had enough of it after some 100 KB.
        assert_ne!(ask(&lan, &[&page]).0, 0);
    }
    let ip = lan.server(Family::V4, 0);
    server.turn(Greets("554 go away\r\n".to_owned()));
    let (_, _, complaint) = ask(&lan, &["-v", &format!("smtp://{ip}:80")]);
    assert!(complaint.contains("< 554 go away"), "{complaint}");
}

#[test]
fn a_byte_a_second() {
    let (lan, ip) = one_server();
    let answer = http(200, "").replace("Whatever", "OK");
    let short = answer.replace("Content-Length: 0\r\nConnection: close\r\n", "");
    let _server = lan.servers[0].faulty(80, Conduct::Drips(short.clone()));
    let began = Instant::now();
    let out = lan.director.curl(&["-i", &url(ip, "/")]);
    assert_eq!(text(&out.stdout), short);
    let least = Duration::from_secs(short.len() as u64 - 1);
    assert!(began.elapsed() > least, "{:?}", began.elapsed());
}

/// Also what it was asked, and by whom, is known; and a turn ends what was going on.
#[test]
fn a_server_flaps_on_command() {
    let (lan, ip) = one_server();
    let page = url(ip, "/health");
    let up = || Conduct::Answers(http(200, "up"));
    let mut server = lan.servers[0].faulty(80, up());
    for _ in 0..10 {
        assert_answers(&lan, &[&page], "up");
        server.turn(Conduct::Refuses);
        assert_fails(&lan, &[&page], curl::NO_CONNECTION);
        server.turn(up());
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 10);
    let director: IpAddr = "10.10.0.1".parse().unwrap();
    for one in asked {
        assert_eq!(one.from.ip(), director);
        assert!(one.text.starts_with("GET /health HTTP/1.1\r\n"), "{one:?}");
        assert!(one.text.contains("\r\nHost: 10.10.0.11\r\n"), "{one:?}");
    }
    server.turn(Conduct::Hangs);
    let mut waits = lan.director.start("curl", &["curl", "-sS", &page]);
    let came = || server.asked().len() == 11;
    assert!(tests::command::eventually(tests::process::PATIENCE, came));
    assert!(!waits.has_ended());
    server.turn(Conduct::Refuses);
    assert_eq!(waits.await_end().code(), Some(curl::NOTHING));
}

#[test]
fn datagrams_are_answered_refused_or_ignored() {
    let lan = Plan::two_arms(1).build();
    let mut server = lan.servers[0].faulty_udp(7000, Conduct::Hangs);
    for family in Family::BOTH {
        let ask = || UdpAsk::new(lan.server(family, 0), 7000).from(&lan.director);
        for (conduct, answer) in [
            (Conduct::Hangs, "lost"),
            (Conduct::Refuses, "ECONNREFUSED"),
            (Conduct::Answers("what?".to_owned()), "damaged"),
            (Conduct::Garbles, "damaged"),
        ] {
            server.turn(conduct.clone());
            assert_eq!(ask(), [answer], "{conduct:?}");
        }
    }
    assert_eq!(server.asked().len(), 6, "refused ones were not seen");
}

#[test]
fn closed_ports_are_free_again() {
    let (lan, ip) = one_server();
    let taken = |node: &Node| drop(node.faulty(80, Conduct::Hangs));
    taken(&lan.servers[0]);
    taken(&lan.servers[0]);
    let to = SocketAddr::new(ip, 80);
    assert_fails(&lan, &[&format!("http://{to}/")], curl::NO_CONNECTION);
}

/// The real keepalived, which is asked what it takes.
#[test]
fn keepalived_says_what_it_takes() {
    let (lan, _) = one_server();
    let file = lan.director.file("keepalived.conf");
    let service = "virtual_server 10.9.0.100 80 {\n  lb_algo rr\n  lb_kind NAT\n  protocol TCP\n  \
                   real_server 10.10.0.11 80 {\n    weight 1\n  }\n}\n";
    for (text, is_taken) in [(service, true), (&service[..30], false)] {
        fs::write(&file, text).unwrap();
        let out = output(&["keepalived", "-t", "-f", file.to_str().unwrap()], "");
        assert_eq!(out.status.success(), is_taken, "{text}: {out:?}");
    }
}
