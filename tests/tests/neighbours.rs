//! ARP and neighbour discovery: a VIP that nobody holds is the director's to answer for and announce.

use tests::command::eventually;
use tests::process::PATIENCE;
use tests::traffic::url;
use tests::{Family, Lvsd, Method, Plan, Rules};

fn the_director_answers_for_the_vip(method: Method, family: Family) {
    let lan = Plan::of(method, 1).build();
    let _servers = lan.backends(method);
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
    let vip = family.vip().to_string();
    lan.client.ip("neigh flush dev eth0\n");
    lan.client.fetch(&url(family.vip(), "/"), 1);
    let director = Some(lan.director.mac("eth0"));
    assert_eq!(lan.client.neighbour(&vip), director);
    if method == Method::FullNat {
        let lip = family.lip().to_string();
        let director = Some(lan.director.mac("eth1"));
        assert_eq!(lan.servers[0].neighbour(&lip), director);
    }
}

/// A client that still believes in the previous owner is put right at the start, not when its entry
/// expires.
fn the_vip_is_announced(method: Method, family: Family) {
    let lan = Plan::of(method, 1).build();
    let vip = family.vip().to_string();
    lan.client.ip(&format!(
        "neigh replace {vip} lladdr 02:00:00:00:00:99 dev eth0 nud stale\n"
    ));
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
    let director = Some(lan.director.mac("eth0"));
    let told = || lan.client.neighbour(&vip) == director;
    assert!(eventually(PATIENCE, told));
}

tests::for_each_method!(the_director_answers_for_the_vip the_vip_is_announced);

/// Where the kernel holds the VIP, it answers; where nobody does and it is no service, nobody does.
#[test]
fn others_are_left_alone() {
    let lan = Plan::of(Method::Nat, 1).build();
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, Family::V4));
    lan.client.output(&["ping", "-c1", "-W1", "10.9.0.99"]);
    lan.client.output(&["ping", "-c1", "-W1", "fd00:9::99"]);
    assert_eq!(lan.client.neighbour("10.9.0.99"), None);
    assert_eq!(lan.client.neighbour("fd00:9::99"), None);
}

/// A real server whose link-layer address changes is found again.
#[test]
fn a_server_with_a_new_card_is_found() {
    let lan = Plan::of(Method::Nat, 1).build();
    let _servers = lan.backends(Method::Nat);
    for family in Family::BOTH {
        let _lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, family));
        let page = url(family.vip(), "/");
        lan.client.fetch(&page, 1);
        let last = if family == Family::V4 { "77" } else { "78" };
        lan.servers[0].ip(&format!("link set eth0 address 02:00:00:00:00:{last}\n"));
        // The server's own first packet, if nothing else, tells the director's kernel.
        lan.servers[0].output(&["ping", "-c1", "-W1", "10.10.0.1"]);
        lan.servers[0].output(&["ping", "-c1", "-W1", "fd00:10::1"]);
        let found = || {
            lan.client
                .curl(&["--max-time", "1", &page])
                .status
                .success()
        };
        assert!(eventually(PATIENCE, found), "{family:?}");
    }
}
