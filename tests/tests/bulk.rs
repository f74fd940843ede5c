//! Bulk data arrives whole: 64 KB aggregates with offloads on, every checksum verified with offloads
//! off.

use tests::command::text;
use tests::traffic::{noise, sha256, url};
use tests::{Family, Lan, Lvsd, Method, Plan, Rules};

/// The receivers of both directions have found no wrong checksum.
fn assert_checksums_right(lan: &Lan) {
    for node in [&lan.client, &lan.servers[0]] {
        for counter in [
            "TcpInCsumErrors",
            "TcpInErrs",
            "IpInHdrErrors",
            "UdpInCsumErrors",
        ] {
            assert_eq!(node.counter(counter), 0, "{counter} on {}", node.title());
        }
    }
}

/// 100 MB up to a server and down again.
fn transfer(plan: &Plan, method: Method, family: Family) {
    let lan = plan.build();
    let _servers = lan.backends(method);
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
    let (sent, back) = (lan.client.file("sent"), lan.client.file("back"));
    noise(&sent, 100);
    let (up, down) = (sent.to_str().unwrap(), back.to_str().unwrap());
    let file = url(family.vip(), "/files/noise");

    let out = lan.client.curl(&["--fail", "-T", up, &file]);
    assert!(out.status.success(), "upload: {}", text(&out.stderr));
    let sum = sha256(&sent);
    assert_eq!(sha256(&lan.servers[0].stored("noise")), sum, "upload");

    let out = lan.client.curl(&["--fail", "-o", down, &file]);
    assert!(out.status.success(), "download: {}", text(&out.stderr));
    assert_eq!(sha256(&back), sum, "download");
    assert_checksums_right(&lan);
}

fn files_arrive_whole(method: Method, family: Family) {
    transfer(&Plan::of(method, 1), method, family);
}

fn files_arrive_whole_without_offloads(method: Method, family: Family) {
    transfer(&Plan::of(method, 1).without_offloads(), method, family);
}

/// iperf3, writing 64 KB at a time in both directions.
fn streams_flow(method: Method, family: Family) {
    for plan in [Plan::of(method, 1), Plan::of(method, 1).without_offloads()] {
        let lan = plan.build();
        let _decap = (method == Method::Tun).then(|| lan.decap());
        let _iperf3 = lan.servers[0].iperf3_server();
        let rules =
            Rules::new()
                .tcp(family.vip(), 5201)
                .server(lan.server(family, 0), 5201, method);
        let _lvsd = Lvsd::start(&lan, rules);
        for direction in [[].as_slice(), &["-R"]] {
            let options = [&["-l", "64K", "-n", "200M"], direction].concat();
            let rate = lan.client.iperf3(family.vip(), &options);
            assert!(rate > 10.0, "{plan:?} {direction:?}: {rate} Mbit/s");
        }
        assert_checksums_right(&lan);
    }
}

tests::for_each_method!(files_arrive_whole files_arrive_whole_without_offloads streams_flow);

/// Twenty streams at once, through two workers.
#[test]
fn parallel_streams_flow() {
    let lan = Plan::of(Method::Nat, 1).build();
    let _iperf3 = lan.servers[0].iperf3_server();
    let vip = Family::V4.vip();
    let rules = Rules::new()
        .tcp(vip, 5201)
        .server(lan.server(Family::V4, 0), 5201, Method::Nat);
    let _lvsd = Lvsd::with(&lan, rules).workers(2).start();
    assert!(lan.client.iperf3(vip, &["-P", "20", "-n", "20M"]) > 10.0);
    assert_checksums_right(&lan);
}
