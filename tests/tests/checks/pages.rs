//! Pages: `HTTP_GET` and `SSL_GET`.

use std::fs;

use tests::certificate::Certificate;
use tests::command::{eventually, lvsd, text};
use tests::health::{real_server, virtual_server};
use tests::process::PATIENCE;
use tests::{Authority, Conduct, Faulty, Lan, Lvsd, Plan, http};

use crate::{Pair, V4, fine, page};

/// Servers that all go wrong at the same time, each in its own way, and then are well again; r2 stays well all the time. As many
/// servers are asked at once, none makes another wait.
fn all_go_wrong(check: &str, well: impl Fn(&str) -> Conduct, wrong: &[(Conduct, &str)]) {
    let lan = Plan::two_arms(2).build();
    let _r2 = lan.servers[1].faulty(80, well("r2"));
    let ports = 8000..;
    let mut servers: Vec<(u16, Faulty)> = ports
        .zip(wrong)
        .map(|(port, _)| {
            (
                port,
                lan.servers[0].faulty(port, well(&format!("r1:{port}"))),
            )
        })
        .collect();
    let mut blocks = vec![real_server(lan.server(V4, 1), 80, check)];
    let ip = lan.server(V4, 0);
    blocks.extend(
        servers
            .iter()
            .map(|(port, _)| real_server(ip, *port, check)),
    );
    let conf = virtual_server(format!("{} 80", V4.vip()), "TCP", "", &blocks);
    let daemon = Lvsd::configured(&lan, conf).start();
    let all: Vec<_> = servers
        .iter()
        .map(|(port, _)| format!("r1:{port}"))
        .collect();
    let all: Vec<_> = all
        .iter()
        .map(|name| (&**name, 1))
        .chain([("r2:80", 1)])
        .collect();
    let names: Vec<_> = all
        .iter()
        .map(|(name, _)| name.trim_end_matches(":80"))
        .collect();
    lan.await_checked();
    for _ in 0..2 {
        lan.await_listed("TCP", &all);
        lan.await_answers(&names, || page(&lan));
        let read = daemon.said().len();
        for ((_, server), (conduct, _)) in servers.iter_mut().zip(wrong) {
            server.turn(conduct.clone());
        }
        lan.await_listed("TCP", &[("r2:80", 1)]);
        lan.await_answers(&["r2"], || page(&lan));
        let said = &daemon.said()[read..];
        for ((port, _), (conduct, why)) in servers.iter().zip(wrong) {
            let removed = format!("Removing service [{ip}]:tcp:{port} ");
            let line = said.lines().find(|line| line.contains(&removed));
            let line = line.unwrap_or_else(|| panic!("{conduct:?}: {said}"));
            assert!(line.contains(why), "{conduct:?}: not for {why:?}: {line}");
        }
        for (port, server) in &mut servers {
            server.turn(well(&format!("r1:{port}")));
        }
    }
    lan.await_listed("TCP", &all);
}

#[test]
fn pages_go_wrong_in_every_way() {
    use Conduct::{
        Answers, Closes, Drips, EndlessHeader, EndlessPage, Garbles, Hangs, Refuses, Resets,
    };
    let check = "HTTP_GET {\n url {\n path /\n status_code 200\n regex \"r[12]\"\n }\n }";
    let well = http(200, "r1");
    all_go_wrong(
        check,
        fine,
        &[
            (Answers(http(503, "r1")), "unwanted status: 503"),
            (Answers(http(301, "r1")), "unwanted status: 301"),
            (Answers(http(200, "error")), "unwanted content"),
            (
                Answers(well[..well.len() - 1].to_owned()),
                "closed too early",
            ),
            (Answers(String::new()), "closed too early"),
            (Drips(well), "no complete answer in time"),
            (Hangs, "no complete answer in time"),
            (Refuses, "connection refused"),
            (Closes, "closed too early"),
            (Resets, "connection reset"),
            (Garbles, "malformed answer"),
            (EndlessPage, ""), // whatever comes first: it is too long, or takes too long
            (EndlessHeader, "answer too long"),
        ],
    );
}

/// The digest is what `lvsd genhash` says.
#[test]
fn pages_are_told_by_their_digest() {
    let lan = Plan::two_arms(2).build();
    let mut web = lan.web();
    let store = |page: &str| fs::write(lan.servers[0].stored("health"), page).unwrap();
    store("all is well\n");
    fs::write(lan.servers[1].stored("health"), "all is well\n").unwrap();
    let [r1, r2] = [0, 1].map(|i| {
        let ip = lan.server(V4, i).to_string();
        let argv = [
            &*lvsd(),
            "genhash",
            "-s",
            &ip,
            "-p",
            "80",
            "-u",
            "/files/health",
        ];
        lan.director.run(&argv)
    });
    assert_eq!(r1, r2);
    let check = format!(
        "HTTP_GET {{\n url {{\n path /files/health\n digest {}\n }}\n }}",
        r1.trim()
    );
    let file = lan.servers[0].stored("health");
    let pair = Pair::start(lan, ("TCP", 80), &check, page);
    fs::write(&file, "all is wrong\n").unwrap();
    pair.await_failure("HTTP_GET failed: other content");
    fs::write(&file, "all is well\n").unwrap();
    pair.await_both();
    fs::remove_file(&file).unwrap();
    pair.await_failure("HTTP_GET failed: unwanted status: 404");
    fs::write(&file, "all is well\n").unwrap();
    pair.await_both();
    pair.freeze_and_thaw(&web[0], "HTTP_GET failed: no complete answer in time");
    pair.kill_and_restart(&mut web[0], "HTTP_GET failed: connection refused");
}

/// What is asked is what the configuration says; several pages are asked in turn, and all of them must be well.
#[test]
fn pages_are_asked_for_as_configured() {
    let lan = Plan::two_arms(2).build();
    let mut r1 = lan.servers[0].faulty(80, fine("r1"));
    let _r2 = lan.servers[1].faulty(80, fine("r2"));
    let check = "HTTP_GET {\n http_protocol 1.1\n virtualhost www.example.test\n bindto 10.10.0.1\n\
                 url {\n path /one?a=b\n }\n url {\n path /two\n virtualhost two.test:81\n status_code 200 404-410\n }\n }";
    let pair = Pair::start(lan, ("TCP", 80), check, page);
    let starts = |path: &str, host: &str| {
        let asked = r1.asked();
        let is_it = |text: &str| {
            text.starts_with(&format!("GET {path} HTTP/1.1\r\n"))
                && text.contains(&format!("\r\nHost: {host}\r\n"))
                && text.contains("\r\nConnection: close\r\n")
        };
        let director = "10.10.0.1".parse().ok();
        asked
            .iter()
            .any(|one| is_it(&one.text) && Some(one.from.ip()) == director)
    };
    for (path, host) in [("/one?a=b", "www.example.test"), ("/two", "two.test:81")] {
        assert!(
            eventually(PATIENCE, || starts(path, host)),
            "{path}: {:?}",
            r1.asked()
        );
    }
    // Good for the second page only.
    r1.turn(Conduct::Answers(http(404, "r1")));
    pair.await_failure("HTTP_GET failed: unwanted status: 404");
    r1.turn(fine("r1"));
    pair.await_both();
}

fn secure_page(lan: &Lan, port: u16) -> String {
    let page = format!("https://{}:{port}/", V4.vip());
    let out = lan.client.output(&["curl", "-gsk", "-m", "3", &page]);
    text(&out.stdout).trim().to_owned()
}

/// r1's certificate changes. Port 443 is checked with it, 444 without.
#[test]
fn certificates_are_looked_at_if_that_is_wanted() {
    let lan = Plan::two_arms(2).build();
    let names = ["www.example.test"];
    let authority = Authority::of(&lan);
    let [good, old] = [authority.certificate(&names), authority.expired(&names)];
    let other_name = authority.certificate(&["mail.example.test"]);
    let unknown = Authority::named(&lan, "unknown").certificate(&names);
    let [chain, key] = ["chain", "key"].map(|name| lan.servers[0].file(name));
    let live = Certificate { chain, key };
    let show = |other: &Certificate| {
        fs::copy(&other.chain, &live.chain).unwrap();
        fs::copy(&other.key, &live.key).unwrap();
    };
    show(&good);
    let mut r1 = lan.servers[0].web_tls(&[443], &live);
    let _r2 = lan.servers[1].web_tls(&[443], &good);
    let service = |port: u16, more: &str| {
        let check = format!(
            "SSL_GET {{\n enable_sni\n virtualhost www.example.test\n http_protocol 1.1\n {more}\n url {{\n path /asked\n \
             regex \"^www.example.test HTTP/1.1 www.example.test$\"\n regex_options multiline\n }}\n }}"
        );
        let servers = lan.server_addresses(V4);
        let servers: Vec<_> = servers
            .iter()
            .map(|ip| real_server(*ip, 443, &check))
            .collect();
        virtual_server(format!("{} {port}", V4.vip()), "TCP", "", &servers)
    };
    let conf = [
        format!("SSL {{\n ca {}\n}}\n", authority.file().display()),
        service(443, "lvsd_tls_verify"),
        service(444, ""),
    ];
    let _daemon = Lvsd::configured(&lan, conf.concat()).start();
    lan.await_checked();
    let (strict, lenient) = ("TCP  10.9.0.100:443 ", "TCP  10.9.0.100:444 ");
    let both = [("r1:443", 1), ("r2:443", 1)];
    for (shown, why) in [
        (&old, "bad certificate: expired"),
        (
            &unknown,
            "bad certificate: issued by no authority that is known here",
        ),
        (&other_name, "bad certificate: "),
    ] {
        show(shown);
        r1.restart();
        lan.await_listed(strict, &both[1..]);
        lan.await_answers(&["r2"], || secure_page(&lan, 443));
        lan.await_listed(lenient, &both);
        lan.await_answers(&["r1", "r2"], || secure_page(&lan, 444));
        let found = || lan.status().contains(why);
        assert!(eventually(PATIENCE, found), "{why}: {}", lan.status());
        show(&good);
        r1.restart();
        lan.await_listed(strict, &both);
        lan.await_answers(&["r1", "r2"], || secure_page(&lan, 443));
    }
    // A server that knows nothing of TLS, and one that hangs before it.
    r1.kill();
    let mut r1 = lan.servers[0].faulty(443, fine("r1"));
    for (conduct, why) in [
        (fine("r1"), "no TLS session"),
        (
            Conduct::Hangs,
            "no complete answer in time: in the TLS handshake",
        ),
        (Conduct::Garbles, "no TLS session"),
    ] {
        r1.turn(conduct);
        let found = || lan.status().contains(why);
        assert!(eventually(PATIENCE, found), "{why}: {}", lan.status());
        lan.await_listed(lenient, &both[1..]);
    }
}
