//! Tunnels of every kind: GRE and GUE carry what IPIP carries, and what goes wrong inside is told outside.

use tests::capture::Capture;
use tests::command::text;
use tests::traffic::{noise, sha256, url};
use tests::{Family, Lan, Lvsd, Method, Plan, Rules, UdpAsk, spread};

/// Options, and the bytes that stand between the two IP headers of a packet with a complete checksum.
const TUNNELS: [(&str, u32); 5] = [
    ("--tun-type gre", 4),
    ("--tun-type gre --tun-csum", 8),
    ("--tun-type gue --tun-port 6080", 12),
    ("--tun-type gue --tun-port 6080 --tun-csum", 12),
    ("--tun-type gue --tun-port 6080 --tun-remcsum", 12),
];

/// Each VIP family in each tunnel family and each kind of tunnel. GUE without a checksum is not for IPv6: servers'
/// sockets do not take it.
fn every_tunnel() -> impl Iterator<Item = (Family, Family, &'static str, u32)> {
    let both = || Family::BOTH.into_iter();
    let families = both().flat_map(move |inner| both().map(move |outer| (inner, outer)));
    families.flat_map(|(inner, outer)| {
        let all = TUNNELS.into_iter();
        all.filter(move |(options, _)| outer == Family::V4 || !options.ends_with("6080"))
            .map(move |(options, len)| (inner, outer, options, len))
    })
}

fn rules(lan: &Lan, inner: Family, outer: Family, options: &str) -> Rules {
    let (vip, servers) = (inner.vip(), lan.server_addresses(outer));
    Rules::new()
        .tcp(vip, 80)
        .servers(&servers, 80, Method::Tun)
        .udp(vip, 7000)
        .servers(&servers, 7000, Method::Tun)
        .tunnel(options)
}

/// Connections and datagrams find their servers, and what takes more than a packet arrives whole: uploads in
/// aggregates where there are offloads, and a datagram in fragments.
fn everything_arrives(plan: &Plan) {
    let lan = plan.build();
    let _servers = lan.backends(Method::Tun);
    let sent = lan.client.file("sent");
    noise(&sent, 2);
    for (inner, outer, options, _) in every_tunnel() {
        let case = format!("{inner:?} in {outer:?} {options}");
        let _lvsd = Lvsd::start(&lan, rules(&lan, inner, outer, options));
        let served = lan.client.fetch(&url(inner.vip(), "/"), 4);
        assert_eq!(spread(&served), [("r1", 2), ("r2", 2)].into(), "{case}");
        let ask = UdpAsk::new(inner.vip(), 7000);
        let served = ask.clone().flows(4).from(&lan.client);
        assert_eq!(spread(&served), [("r1", 2), ("r2", 2)].into(), "{case}");

        let file = url(inner.vip(), "/files/noise");
        let out = (lan.client).curl(&["--fail", "-T", sent.to_str().unwrap(), &file]);
        assert!(out.status.success(), "{case}: {}", text(&out.stderr));
        let stored = lan.servers.iter().map(|s| s.stored("noise"));
        let stored: Vec<_> = stored.filter(|f| f.exists()).collect();
        assert!(!stored.is_empty(), "{case}");
        for file in stored {
            assert_eq!(sha256(&file), sha256(&sent), "{case}");
            std::fs::remove_file(file).unwrap();
        }

        if inner == Family::V4 {
            let ask = ask.may_be_fragmented();
            let served = ask.size(1472).flows(2).from(&lan.client);
            assert_eq!(spread(&served), [("r1", 1), ("r2", 1)].into(), "{case}");
        }
    }
}

#[test]
fn everything_arrives_with_offloads() {
    everything_arrives(&Plan::of(Method::Tun, 2));
}

#[test]
fn everything_arrives_without_offloads() {
    everything_arrives(&Plan::of(Method::Tun, 2).without_offloads());
}

/// Makes the client forget what it was told.
fn forget_mtus(lan: &Lan) {
    for family in ["-4", "-6"] {
        lan.client.run(&["ip", family, "route", "flush", "cache"]);
    }
}

#[test]
fn clients_are_told_what_fits_the_tunnel() {
    let lan = Plan::of(Method::Tun, 1).without_offloads().build();
    let _servers = lan.backends(Method::Tun);
    for (inner, outer, options, len) in every_tunnel() {
        let case = format!("{inner:?} in {outer:?} {options}");
        let _lvsd = Lvsd::start(&lan, rules(&lan, inner, outer, options));
        let (mtu, headers) = match (outer, inner) {
            (Family::V4, Family::V4) => (1500 - 20 - len, 28),
            (Family::V4, Family::V6) => (1500 - 20 - len, 48),
            (Family::V6, Family::V4) => (1500 - 40 - len, 28),
            (Family::V6, Family::V6) => (1500 - 40 - len, 48),
        };
        forget_mtus(&lan);
        let capture = Capture::start(&lan.client, "eth0", "icmp or icmp6");
        let ask = UdpAsk::new(inner.vip(), 7000).dont_fragment();
        let fits = mtu as usize - headers;
        assert_eq!(ask.clone().size(fits).from(&lan.client), ["r1"], "{case}");
        let refused = ask.size(fits + 1).from(&lan.client);
        assert_eq!(refused, ["EMSGSIZE"], "{case}");
        let seen = capture.stop();
        let told = seen.iter().filter_map(|p| p.payload()?.too_big()).next();
        assert_eq!(told, Some(mtu), "{case}");
    }
}

/// Nobody unwraps: the server's kernel refuses the tunnel packet, which concerns the director, and so it is the
/// client that learns it.
#[test]
fn a_server_that_does_not_unwrap_is_told() {
    let lan = Plan::of(Method::Tun, 1).build();
    for (options, _) in TUNNELS.into_iter().filter(|(o, _)| o.contains("gue")) {
        let rules = rules(&lan, Family::V4, Family::V4, options);
        let _lvsd = Lvsd::start(&lan, rules);
        let capture = Capture::start(&lan.client, "eth0", "icmp");
        let ask = UdpAsk::new(Family::V4.vip(), 7000);
        assert_eq!(ask.from(&lan.client), ["ECONNREFUSED"], "{options}");
        let seen = capture.stop();
        let told: Vec<_> = seen.iter().filter(|p| p.is_icmp(3, 3)).collect();
        assert_eq!(told.len(), 1, "{options}: {seen:#?}");
        let told = told[0].ip.as_ref().unwrap();
        assert_eq!((told.src, told.ttl), (Family::V4.vip(), 64), "{options}");
    }
}

/// A router between director and server, r1, whose way on to the server, r2, takes no more than 1300 bytes. Only the
/// director is told by it, and from then on tells clients itself.
#[test]
fn a_narrow_path_behind_the_director_is_found() {
    const FAR: &str = "10.99.0.2";
    let lan = Plan::of(Method::Tun, 2).without_offloads().build();
    let _servers = lan.backends(Method::Tun);
    let r2 = lan.server(Family::V4, 1);
    lan.director.ip(&format!(
        "route add {FAR} via {}\n",
        lan.server(Family::V4, 0)
    ));
    lan.servers[0].ip(&format!("route add {FAR} via {r2} mtu lock 1300\n"));
    lan.servers[0].sysctl(&[
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv4.conf.all.send_redirects", "0"),
        ("net.ipv4.conf.eth0.send_redirects", "0"),
    ]);
    lan.servers[1].ip(&format!("addr add {FAR}/32 dev eth0\n"));
    let all = [("", 0)].into_iter().chain(TUNNELS);
    for (options, len) in all {
        let vip = Family::V4.vip();
        let rules = Rules::new()
            .udp(vip, 7000)
            .server(FAR.parse().unwrap(), 7000, Method::Tun)
            .tunnel(options);
        let _lvsd = Lvsd::start(&lan, rules);
        forget_mtus(&lan);
        let mtu = 1300 - 20 - len;
        let fits = mtu as usize - 28;
        let ask = UdpAsk::new(vip, 7000).dont_fragment();
        assert_eq!(
            ask.clone().size(fits).from(&lan.client),
            ["r2"],
            "{options}"
        );
        for _ in 0..2 {
            let capture = Capture::start(&lan.client, "eth0", "icmp");
            let refused = ask.clone().size(1400).from(&lan.client);
            assert_eq!(refused, ["EMSGSIZE"], "{options}");
            let seen = capture.stop();
            let told: Vec<_> = seen.iter().filter_map(|p| p.payload()?.too_big()).collect();
            assert_eq!(told, [mtu], "{options}: {seen:#?}");
            forget_mtus(&lan);
        }
        // Without DF it is for the director to make it fit.
        let ask = UdpAsk::new(vip, 7000).may_be_fragmented();
        assert_eq!(ask.size(1400).from(&lan.client), ["r2"], "{options}");
    }
}
