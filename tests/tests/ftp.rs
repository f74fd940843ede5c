//! FTP through NAT: vsftpd behind the director, curl in front of it, in every way the two can agree on.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use tests::command::text;
use tests::traffic::{noise, sha256};
use tests::{Family, Lan, Lvsd, Method, Node, Plan, Process, Rules};

/// How client and server agree on a data connection.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Pasv,
    Epsv,
    Port,
    Eprt,
}

impl Mode {
    const OF_V4: [Self; 4] = [Self::Pasv, Self::Epsv, Self::Port, Self::Eprt];
    const OF_V6: [Self; 2] = [Self::Epsv, Self::Eprt];

    fn of(family: Family) -> &'static [Self] {
        match family {
            Family::V4 => &Self::OF_V4,
            Family::V6 => &Self::OF_V6,
        }
    }

    /// For curl, which would not believe an address in `227` if it were not told to.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Pasv => &["--disable-epsv", "--no-ftp-skip-pasv-ip"],
            Self::Epsv => &[],
            Self::Port => &["--ftp-port", "-", "--disable-eprt"],
            Self::Eprt => &["--ftp-port", "-"],
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Pasv => "> PASV",
            Self::Epsv => "> EPSV",
            Self::Port => "> PORT",
            Self::Eprt => "> EPRT",
        }
    }
}

/// vsftpd on every address of a host, for anybody, with a folder to write to.
fn ftp(server: &Node) -> Process {
    let root = root(server);
    let uploads = root.join("up");
    fs::create_dir_all(&uploads).unwrap();
    server.run(&["chown", "ftp", uploads.to_str().unwrap()]);
    let conf = server.file("vsftpd.conf");
    let root = root.display();
    let text = format!(
        "listen=NO\nlisten_ipv6=YES\nbackground=NO\nseccomp_sandbox=NO\nisolate_network=NO\n\
         secure_chroot_dir={root}\nanonymous_enable=YES\nno_anon_password=YES\nanon_root={root}\n\
         write_enable=YES\nanon_upload_enable=YES\nconnect_from_port_20=YES\nftpd_banner={}\n",
        server.title()
    );
    fs::write(&conf, text).unwrap();
    let mut vsftpd = server.start("vsftpd", &["vsftpd", conf.to_str().unwrap()]);
    vsftpd.await_listening(server, "tcp", &[21]);
    vsftpd
}

fn root(server: &Node) -> PathBuf {
    server.file("ftp")
}

/// What the server at `index` hands out under this name, so many megabytes of noise.
fn hand_out(lan: &Lan, index: usize, name: &str, megabytes: usize) -> PathBuf {
    let file = root(&lan.servers[index]).join(name);
    noise(&file, megabytes);
    file
}

fn url(ip: IpAddr, path: &str) -> String {
    match ip {
        IpAddr::V4(ip) => format!("ftp://{ip}/{path}"),
        IpAddr::V6(ip) => format!("ftp://[{ip}]/{path}"),
    }
}

/// Has curl do several transfers over one control connection, which must succeed; returns the conversation as it has
/// shown it.
fn transfer(lan: &Lan, mode: Mode, each: &[&[&str]]) -> String {
    let mut options = vec!["-v"];
    for (i, one) in each.iter().enumerate() {
        options.extend((i > 0).then_some("--next"));
        options.extend(mode.options().iter().chain(*one));
    }
    let out = lan.client.curl(&options);
    let said = text(&out.stderr);
    assert!(out.status.success(), "{mode:?} {options:?}: {said}");
    assert_eq!(said.matches("< 220 ").count(), 1, "one connection: {said}");
    let asked = said.matches(mode.command()).count();
    assert_eq!(asked, each.len(), "{mode:?}: {said}");
    said
}

/// Down and up over one control connection, and nobody sees a wrong checksum.
fn there_and_back(lan: &Lan, family: Family, mode: Mode) -> String {
    let vip = family.vip();
    let given = hand_out(lan, 0, "down", 3);
    let (got, sent) = (lan.client.file("got"), lan.client.file("sent"));
    noise(&sent, 3);
    let (got_path, sent_path) = (got.to_str().unwrap(), sent.to_str().unwrap());
    let (down, up) = (url(vip, "down"), url(vip, "up/sent"));
    let arrived = root(&lan.servers[0]).join("up/sent");
    let _ = fs::remove_file(&arrived); // of an earlier mode
    // The third transfer is behind two changes of length.
    let said = transfer(
        lan,
        mode,
        &[
            &["-o", "/dev/null", &down],
            &["-T", sent_path, &up],
            &["-o", got_path, &down],
        ],
    );
    assert_eq!(sha256(&got), sha256(&given), "{mode:?}");
    assert_eq!(sha256(&arrived), sha256(&sent), "{mode:?}");
    for node in [&lan.client, &lan.servers[0]] {
        assert_eq!(node.counter("TcpInCsumErrors"), 0, "{mode:?}");
    }
    said
}

fn rules(family: Family, server: IpAddr) -> Rules {
    let rules = Rules::new().tcp(family.vip(), 21);
    rules.server(server, 21, Method::Nat)
}

fn every_mode(lan: &Lan, workers: usize) {
    let _ftp = ftp(&lan.servers[0]);
    for family in Family::BOTH {
        let rules = rules(family, lan.server(family, 0));
        let _lvsd = Lvsd::with(lan, rules).workers(workers).start();
        for mode in Mode::of(family) {
            there_and_back(lan, family, *mode);
        }
    }
}

#[test]
fn every_mode_of_both_families() {
    every_mode(&Plan::of(Method::Nat, 1).build(), 1);
}

#[test]
fn without_offloads() {
    every_mode(&Plan::of(Method::Nat, 1).without_offloads().build(), 1);
}

#[test]
fn two_workers() {
    every_mode(&Plan::of(Method::Nat, 1).build(), 2);
}

/// The announced address has another length than the VIP's, in either direction.
#[test]
fn lengths_may_change() {
    for server in ["10.10.0.5", "10.10.0.101"] {
        let lan = Plan::of(Method::Nat, 1).build();
        lan.servers[0].ip(&format!("addr add {server}/24 dev eth0\n"));
        let _ftp = ftp(&lan.servers[0]);
        let _lvsd = Lvsd::start(&lan, rules(Family::V4, server.parse().unwrap()));
        let said = there_and_back(&lan, Family::V4, Mode::Pasv);
        let answers = said.lines().filter(|l| l.starts_with("< 227 ")).count();
        let ours = said.matches("(10,9,0,100,").count();
        assert_eq!((answers, ours), (3, 3), "{said}");
    }
}

/// A host that holds the VIP, or is a router, has no part in data connections either.
#[test]
fn the_host_is_kept_out() {
    for (holds, routes) in [(true, false), (false, true), (true, true)] {
        let plan = Plan::of(Method::Nat, 1).vip_on_director(holds);
        every_mode(&plan.ip_forward(routes).build(), 1);
    }
}

/// Data connections go where their control connection went.
#[test]
fn several_servers() {
    let lan = Plan::of(Method::Nat, 3).build();
    let _ftp: Vec<_> = lan.servers.iter().map(ftp).collect();
    for server in &lan.servers {
        fs::write(root(server).join("name"), server.title()).unwrap();
    }
    let family = Family::V4;
    let rules = Rules::new().tcp(family.vip(), 21);
    let rules = rules.servers(&lan.server_addresses(family), 21, Method::Nat);
    let _lvsd = Lvsd::start(&lan, rules);
    let mut seen = std::collections::BTreeSet::new();
    for mode in [Mode::Pasv, Mode::Port, Mode::Epsv] {
        let said = transfer(&lan, mode, &[&[&url(family.vip(), "name")]]);
        let banner = said.lines().find_map(|l| l.strip_prefix("< 220 "));
        seen.insert(banner.unwrap().trim().to_owned());
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}
