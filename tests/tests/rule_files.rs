//! Rule files: as many servers as there are, and a broken one is refused whole, with the place and the
//! reason.

use tests::command::text;
use tests::traffic::url;
use tests::{Family, Lvsd, Method, Plan, Rules, spread};

/// 200 connections over `servers` addresses on (at most) three hosts: each the same number.
fn connections_over(servers: usize) {
    const CONNECTIONS: usize = 200;
    for family in Family::BOTH {
        let lan = Plan::two_arms(servers.min(3)).aliases(servers).build();
        let _web = lan.web();
        let addresses: Vec<_> = (0..servers).map(|i| lan.alias(family, i)).collect();
        let rules = Rules::new()
            .tcp(family.vip(), 80)
            .servers(&addresses, 80, Method::Nat);
        let _lvsd = Lvsd::start(&lan, rules);
        let served = lan.client.fetch(&url(family.vip(), "/who"), CONNECTIONS);
        let counts = spread(&served);
        let (few, many) = (CONNECTIONS / servers, CONNECTIONS.div_ceil(servers));
        assert_eq!(counts.len(), servers);
        assert!(
            counts.values().all(|n| (few..=many).contains(n)),
            "{counts:?}"
        );
    }
}

#[test]
fn one_server() {
    connections_over(1);
}

#[test]
fn three_servers() {
    connections_over(3);
}

#[test]
fn a_hundred_servers() {
    connections_over(100);
}

/// Starts lvsd with `rules`: it must exit with 2 and name the place and something of the reason.
#[track_caller]
fn assert_refused(rules: &str, place: &str, reason: &str) {
    let lan = Plan::two_arms(0).build();
    let out = Lvsd::with(&lan, rules).refused();
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{rules:?}: {said}");
    let place = format!("{}:{place}", lan.director.file("rules").display());
    assert!(said.contains(&place), "{rules:?}: no {place} in: {said}");
    assert!(said.contains(reason), "{rules:?}: no {reason:?} in: {said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn an_unknown_option_is_refused() {
    assert_refused("-A -t 10.9.0.100:80 -s rr\n-X\n", "2:1", "-X");
}

#[test]
fn a_broken_address_is_refused() {
    assert_refused("-A -t 10.9.0.300:80 -s rr\n", "1:7", "10.9.0.300");
}

#[test]
fn a_broken_port_is_refused() {
    assert_refused("-A -t 10.9.0.100:99999 -s rr\n", "1:18", "99999");
}

#[test]
fn an_unknown_scheduler_is_refused() {
    assert_refused(
        "# ours\n-A -t 10.9.0.100:80 -s fastest\n",
        "2:24",
        "fastest",
    );
}

#[test]
fn a_server_without_its_service_is_refused() {
    let rules = "-a -t 10.9.0.100:80 -r 10.10.0.11:80 -m -w 1\n";
    assert_refused(rules, "1:", "10.9.0.100:80");
}

#[test]
fn a_service_given_twice_is_refused() {
    let rules = "-A -t 10.9.0.100:80 -s rr\n-A -t 10.9.0.100:80 -s wlc\n";
    assert_refused(rules, "2:", "10.9.0.100:80");
}

#[test]
fn a_server_given_twice_is_refused() {
    let rules = "-A -t 10.9.0.100:80 -s rr\n\
                 -a -t 10.9.0.100:80 -r 10.10.0.11:80 -m -w 1\n\
                 -a -t 10.9.0.100:80 -r 10.10.0.11:80 -m -w 2\n";
    assert_refused(rules, "3:", "10.10.0.11:80");
}

#[test]
fn fullnat_without_local_addresses_is_refused() {
    let rules = "-A -t 10.9.0.100:80 -s rr\n\
                 -a -t 10.9.0.100:80 -r 10.10.0.11:80 --fullnat -w 1\n";
    assert_refused(rules, "2:", "--local-address");
}

#[test]
fn nat_across_families_is_refused() {
    let rules = "-A -t 10.9.0.100:80 -s rr\n\
                 -a -t 10.9.0.100:80 -r [fd00:10::11]:80 -m -w 1\n";
    assert_refused(rules, "2:", "fd00:10::11");
}

#[test]
fn a_missing_value_is_refused() {
    assert_refused("-A -t 10.9.0.100:80 -s\n", "1:", "-s");
}

#[test]
fn what_cannot_be_done_yet_is_refused() {
    let rules = "-A -f 1 -s rr\n--start-daemon master\n";
    assert_refused(rules, "2:1", "--start-daemon");
}

#[test]
fn impossible_options_are_refused() {
    assert_refused("-A -t 10.9.0.100:0 -s rr\n", "1:7", "-p");
    assert_refused("-A -t 10.9.0.100:80 -s rr -p 0\n", "1:30", "timeout");
    assert_refused("-A -t 10.9.0.100:80 -s rr -b mh-port\n", "1:30", "mh-port");
    let server = "-A -f 1\n-a -f 1 -r 10.10.0.11 -m -x 3 -y 4\n";
    assert_refused(server, "2:34", "threshold");
}

#[test]
fn marks_and_settings_that_are_wrong_are_refused() {
    assert_refused("--mark 1 --source 10.9.0.0/99\n", "1:19", "10.9.0.0/99");
    assert_refused("--set 1 2\n", "1:1", "--set");
    assert_refused("net.ipv4.vs.nonesuch = 1\n", "1:1", "nonesuch");
    assert_refused("net.ipv4.vs.drop_entry = 9\n", "1:26", "drop_entry");
}

/// What `ipvsadm -Sn` printed of a table with some of everything, and our own lines before it.
#[test]
fn a_file_with_everything_is_taken() {
    let rules = "\
net.ipv4.vs.expire_quiescent_template = 1
net.ipv4.vs.sloppy_tcp=0
--set 600 60 120
--mark 7 --destination 10.9.0.102 --protocol tcp --destination-port 80-90
--mark 8 --source 10.9.0.0/16 --source-port 1024-65535 --interface eth0
-A -t 10.9.0.100:0 -s wlc -p 360
-a -t 10.9.0.100:0 -r 10.10.0.11:0 -m -w 1
-A -t 10.9.0.100:21 -s rr -p 60 -M 255.255.255.240
-A -t 10.9.0.100:80 -s wrr -b flag-1,flag-2
-a -t 10.9.0.100:80 -r [fd00:10::12]:80 -i -w 1 --tun-type ipip
-a -t 10.9.0.100:80 -r 10.10.0.11:8080 -m -w 7 -x 9 -y 3
-a -t 10.9.0.100:80 -r 10.10.0.13:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-a -t 10.9.0.100:80 -r 10.10.0.14:80 -i -w 1 --tun-type gre --tun-csum
-A -t 10.9.0.101:80 -s mh -b mh-fallback,mh-port
-A -u 10.9.0.100:5060 -s wlc -p 10 --pe sip -o
-A --sctp-service 10.9.0.100:3868 -s lblcr
-a --sctp-service 10.9.0.100:3868 -r 10.10.0.11:3868 -m -w 0
-A -t [fd00:9::100]:443 -s fo -p 360 -M 64
-A -f 8 -s ovf -o
-A -f 7 -s twos -p 300 -M 255.255.0.0
-a -f 7 -r 10.10.0.11:80 -m -w 1
-A -f 7 -6 -s lblc -p 100 -M 48
-a -f 7 -6 -r [fd00:10::11]:0 -g -w 1
";
    let lan = Plan::two_arms(1).build();
    let _web = lan.web();
    let lvsd = Lvsd::start(&lan, rules);
    let served = lan.client.fetch("http://10.9.0.102:80/", 1);
    assert_eq!(served, ["r1"]);
    let noted = "service FWM 7 IPv6: no --mark line";
    assert!(lvsd.said().contains(noted), "{}", lvsd.said());
    let (status, said) = lvsd.stop("TERM");
    assert!(status.success(), "{said}");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    assert_refused("-A -t \u{1}\u{7f} -s rr\n", "1:7", "");
}

#[test]
fn a_missing_file_is_refused() {
    let lan = Plan::two_arms(0).build();
    let argv = [&tests::command::lvsd(), "run", "--rules", "/nowhere/rules"];
    let out = lan.director.output(&argv);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("/nowhere/rules"), "{out:?}");
}
