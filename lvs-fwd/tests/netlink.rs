//! The kernel's own tables, read and written in network namespaces that the tests make for themselves.
//! Needs root, or a user namespace that may have network namespaces.
#![cfg(feature = "netlink")]

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lvs_core::{Ip, Time};
use lvs_fwd::frame::PortId;
use lvs_fwd::io::netlink::{Config, Monitor, Resolver, VethEnd};
use lvs_fwd::route::{Mac, Macvlan, NextHop, Resolution, Topology};

const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 2]);
const PORT: PortId = PortId(0);

fn ip(s: &str) -> Ip {
    s.parse().unwrap()
}

/// Runs the test in a new network namespace, which goes with the thread.
fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(|| {
        enter_new_namespace();
        test();
    });
    if let Err(e) = thread.join() {
        std::panic::resume_unwind(e);
    }
}

fn enter_new_namespace() {
    // SAFETY: takes no pointers; only this thread moves.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    let error = std::io::Error::last_os_error();
    assert_eq!(
        done, 0,
        "cannot make a network namespace: {error}; these tests need root"
    );
}

/// A neighbour in another namespace: 10.9.0.2 and fd00:9::2, on `eth0` of ours. Gone when dropped.
struct Peer {
    stop: mpsc::Sender<()>,
}

impl Peer {
    /// Joins the calling thread's namespace with a new one and gives ours 10.9.0.1 and fd00:9::1.
    fn new(config: &mut Config) -> Self {
        let (stop, stopped) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let (go, ready) = mpsc::channel::<()>();
        thread::spawn(move || {
            enter_new_namespace();
            tell.send(File::open("/proc/thread-self/ns/net").unwrap())
                .unwrap();
            ready.recv().unwrap();
            let mut config = Config::new().unwrap();
            config.set_up("lo", true).unwrap();
            config.set_up("eth0", true).unwrap();
            config.add_address("eth0", ip("10.9.0.2"), 24).unwrap();
            config.add_address("eth0", ip("fd00:9::2"), 64).unwrap();
            tell.send(File::open("/dev/null").unwrap()).unwrap();
            let _ = stopped.recv();
        });
        let namespace = told.recv().unwrap();
        let end = |mac, namespace| VethEnd {
            name: "eth0",
            mac: Some(mac),
            namespace,
        };
        config
            .veth(end(OURS, None), end(THEIRS, Some(namespace.as_fd())), 1400)
            .unwrap();
        config.set_up("lo", true).unwrap();
        config.set_up("eth0", true).unwrap();
        config.add_address("eth0", ip("10.9.0.1"), 24).unwrap();
        config.add_address("eth0", ip("fd00:9::1"), 64).unwrap();
        go.send(()).unwrap();
        told.recv().unwrap();
        Self { stop }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.stop.send(());
    }
}

/// Waits for notifications until the topology is as wanted; fails after half a minute.
fn wait_for(monitor: &mut Monitor, ifindex: u32, wanted: impl Fn(&Topology) -> bool) -> Topology {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let topology = monitor.topology(&[(PORT, ifindex)]);
        if wanted(&topology) {
            return topology;
        }
        assert!(Instant::now() < deadline, "still {topology:#?}");
        let mut poll = libc::pollfd {
            fd: monitor.as_fd().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: `poll` is one valid pollfd for the duration of the call.
        unsafe { libc::poll(&raw mut poll, 1, 100) };
        monitor.update().unwrap();
    }
}

fn ready() -> Resolution {
    Resolution::Ready(NextHop {
        port: PORT,
        src_mac: OURS,
        dst_mac: THEIRS,
        mtu: 1400,
    })
}

#[test]
fn the_topology_follows_the_kernel() {
    in_namespace(|| {
        let mut config = Config::new().unwrap();
        let mut monitor = Monitor::new().unwrap();
        assert!(!monitor.update().unwrap(), "nothing has happened yet");
        let _peer = Peer::new(&mut config);
        let eth0 = config.ifindex("eth0").unwrap();

        let t = wait_for(&mut monitor, eth0, |t| t.is_local(ip("fd00:9::1")));
        let interface = t.interface(PORT).unwrap();
        assert_eq!((interface.mac, interface.mtu), (OURS, 1400));
        assert_eq!(interface.name, "eth0");
        for addr in ["10.9.0.1", "fd00:9::1"] {
            assert!(interface.addrs.contains(&ip(addr)), "{addr}");
            assert_eq!(t.resolve(ip(addr)), Resolution::Local);
        }
        let link = monitor.links().iter().find(|l| l.ifindex == eth0).unwrap();
        assert!(link.ethernet && link.up);
        assert!(
            monitor
                .links()
                .iter()
                .any(|l| l.name == "lo" && !l.ethernet)
        );

        let unresolved = |next_hop| Resolution::Unresolved {
            ifindex: eth0,
            next_hop: ip(next_hop),
        };
        assert_eq!(t.resolve(ip("10.9.0.2")), unresolved("10.9.0.2"));
        assert_eq!(t.resolve(ip("10.9.0.255")), Resolution::NoRoute);
        assert_eq!(t.resolve(ip("8.8.8.8")), Resolution::NoRoute);
        assert_eq!(t.source_for(ip("10.9.0.7")), Some(ip("10.9.0.1")));
        assert_eq!(t.source_for(ip("fd00:9::7")), Some(ip("fd00:9::1")));

        let default = (ip("0.0.0.0"), 0);
        let default6 = (ip("::"), 0);
        config
            .add_route(default, Some(ip("10.9.0.2")), None)
            .unwrap();
        config
            .add_route(default6, Some(ip("fe80::2")), Some("eth0"))
            .unwrap();
        config.add_route((ip("192.0.2.0"), 24), None, None).unwrap();
        config
            .add_route((ip("198.51.100.0"), 24), Some(ip("fe80::2")), Some("eth0"))
            .unwrap();
        let t = wait_for(&mut monitor, eth0, |t| {
            t.resolve(ip("198.51.100.1")) == unresolved("fe80::2")
        });
        assert_eq!(t.resolve(ip("8.8.8.8")), unresolved("10.9.0.2"));
        assert_eq!(t.resolve(ip("2001:db8::1")), unresolved("fe80::2"));
        assert_eq!(t.resolve(ip("192.0.2.1")), Resolution::NoRoute);

        config
            .remove_route(default6, Some(ip("fe80::2")), Some("eth0"))
            .unwrap();
        config.add_address("lo", ip("10.9.0.100"), 32).unwrap();
        wait_for(&mut monitor, eth0, |t| {
            t.is_local(ip("10.9.0.100")) && t.resolve(ip("2001:db8::1")) == Resolution::NoRoute
        });
        config.remove_address("lo", ip("10.9.0.100"), 32).unwrap();
        wait_for(&mut monitor, eth0, |t| !t.is_local(ip("10.9.0.100")));

        // The kernel does not notify the loss of the IPv4 routes.
        config.set_up("eth0", false).unwrap();
        wait_for(&mut monitor, eth0, |t| {
            t.resolve(ip("8.8.8.8")) == Resolution::NoRoute
        });
        config.delete("eth0").unwrap();
        wait_for(&mut monitor, eth0, |t| t.interface(PORT).is_none());
    });
}

#[test]
fn the_kernel_resolves_what_it_is_asked_to_manage() {
    in_namespace(|| {
        let mut config = Config::new().unwrap();
        let _peer = Peer::new(&mut config);
        let eth0 = config.ifindex("eth0").unwrap();
        let mut monitor = Monitor::new().unwrap();
        let mut resolver = Resolver::new().unwrap();
        let forged = Mac([2, 0, 0, 0, 0, 0xee]);
        config
            .add_neighbour("eth0", ip("10.9.0.3"), forged)
            .unwrap();

        let hops = ["10.9.0.2", "fd00:9::2", "10.9.0.3", "10.9.0.4"].map(|a| (eth0, ip(a)));
        resolver.manage(hops).unwrap();
        let t = wait_for(&mut monitor, eth0, |t| {
            [ip("10.9.0.2"), ip("fd00:9::2")]
                .iter()
                .all(|a| t.resolve(*a) == ready())
        });
        assert!(matches!(
            t.resolve(ip("10.9.0.4")),
            Resolution::Unresolved { .. }
        ));
        assert!(matches!(
            t.resolve(ip("10.9.0.3")),
            Resolution::Ready(NextHop { dst_mac, .. }) if dst_mac == forged
        ));
        assert!(
            resolver.is_managed(eth0, ip("10.9.0.2")).unwrap(),
            "needs Linux 5.16"
        );
        assert!(resolver.is_managed(eth0, ip("fd00:9::2")).unwrap());
        assert!(
            !resolver.is_managed(eth0, ip("10.9.0.3")).unwrap(),
            "a permanent entry must be left alone"
        );

        for a in ["10.9.0.2", "10.9.0.4"] {
            assert!(resolver.resolve(eth0, ip(a), Time::from_secs(9)).unwrap());
            let still = resolver.is_managed(eth0, ip(a)).unwrap();
            assert!(still, "asking for a managed next hop must not end that");
        }

        resolver.manage([(eth0, ip("fd00:9::2"))]).unwrap();
        assert!(!resolver.is_managed(eth0, ip("10.9.0.2")).unwrap());
        assert!(resolver.is_managed(eth0, ip("fd00:9::2")).unwrap());
        drop(resolver);
        let mut resolver = Resolver::new().unwrap();
        assert!(!resolver.is_managed(eth0, ip("fd00:9::2")).unwrap());

        // No such interface: refused, and the others are still managed.
        assert!(resolver.manage([(9999, ip("10.9.0.2")), hops[1]]).is_err());
        assert!(resolver.is_managed(eth0, ip("fd00:9::2")).unwrap());
    });
}

#[test]
fn others_are_asked_for_once_a_second() {
    in_namespace(|| {
        let mut config = Config::new().unwrap();
        let _peer = Peer::new(&mut config);
        let eth0 = config.ifindex("eth0").unwrap();
        let mut monitor = Monitor::new().unwrap();
        let mut resolver = Resolver::new().unwrap();
        let mut ask = |addr, ms| {
            resolver
                .resolve(eth0, ip(addr), Time::from_millis(ms))
                .unwrap()
        };
        assert!(ask("10.9.0.2", 5000));
        assert!(!ask("10.9.0.2", 5999));
        assert!(ask("fd00:9::2", 5999));
        assert!(ask("10.9.0.2", 6000));
        wait_for(&mut monitor, eth0, |t| {
            t.resolve(ip("10.9.0.2")) == ready() && t.resolve(ip("fd00:9::2")) == ready()
        });
    });
}

#[test]
fn a_learnt_neighbour_that_moves_is_followed() {
    in_namespace(|| {
        let mut config = Config::new().unwrap();
        let _peer = Peer::new(&mut config);
        let eth0 = config.ifindex("eth0").unwrap();
        let mut monitor = Monitor::new().unwrap();
        let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
        socket.send_to(b"x", "10.9.0.2:9").unwrap();
        wait_for(&mut monitor, eth0, |t| t.resolve(ip("10.9.0.2")) == ready());
        // Switching the interface off makes the kernel forget its neighbours.
        config.set_up("eth0", false).unwrap();
        config.set_up("eth0", true).unwrap();
        wait_for(&mut monitor, eth0, |t| {
            matches!(t.resolve(ip("10.9.0.2")), Resolution::Unresolved { .. })
        });
    });
}

#[test]
fn lost_notifications_are_made_up_for() {
    in_namespace(|| {
        let mut config = Config::new().unwrap();
        let _peer = Peer::new(&mut config);
        let eth0 = config.ifindex("eth0").unwrap();
        let mut monitor = Monitor::new().unwrap();
        let neighbour = |i: u16| Ip::v4([10, 9, (i >> 8) as u8, i as u8]);
        config
            .add_route((ip("10.9.0.0"), 16), None, Some("eth0"))
            .unwrap();
        // Permanent entries may be as many as one likes.
        for i in 0x1000..0x5000 {
            config.add_neighbour("eth0", neighbour(i), THEIRS).unwrap();
        }
        let sockets = std::fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
        let lost = |line: &str| line.split_whitespace().nth(8).is_some_and(|d| d != "0");
        assert!(
            sockets.lines().skip(1).any(lost),
            "the test is too gentle:\n{sockets}"
        );
        assert!(monitor.update().unwrap());
        let t = monitor.topology(&[(PORT, eth0)]);
        for i in 0x1000..0x5000 {
            assert_eq!(t.resolve(neighbour(i)), ready(), "{}", neighbour(i));
        }
        assert!(!monitor.update().unwrap(), "the queue has been emptied");
    });
}

#[test]
fn bridges_join_interfaces() {
    in_namespace(|| {
        let mut config = Config::new().unwrap();
        let _peer = Peer::new(&mut config);
        config.bridge("br0").unwrap();
        config.set_bridge("eth0", "br0").unwrap();
        config.set_up("br0", true).unwrap();
        config.set_mtu("br0", 1300).unwrap();
        config.set_mac("br0", OURS).unwrap();
        let mut monitor = Monitor::new().unwrap();
        let by_name =
            |m: &Monitor, name: &str| m.links().iter().find(|l| l.name == name).unwrap().clone();
        let br0 = by_name(&monitor, "br0");
        assert_eq!((br0.mtu, br0.mac), (1300, OURS));
        assert_eq!(by_name(&monitor, "eth0").controller, Some(br0.ifindex));
        config.delete("br0").unwrap();
        wait_for(&mut monitor, 0, |_| true);
        monitor.update().unwrap();
        assert_eq!(by_name(&monitor, "eth0").controller, None);
        assert_eq!(
            config.set_up("br0", true).unwrap_err().to_string(),
            "no interface br0"
        );
    });
}

fn run_ip(words: &str) {
    let done = std::process::Command::new("ip")
        .args(words.split(' '))
        .status();
    assert!(done.expect("this test needs iproute2").success(), "{words}");
}

/// A virtual router's own interface (VRRP).
#[test]
fn macvlans_above_a_port_are_followed() {
    in_namespace(|| {
        let mut config = Config::new().unwrap();
        let mut monitor = Monitor::new().unwrap();
        let _peer = Peer::new(&mut config);
        let eth0 = config.ifindex("eth0").unwrap();
        run_ip("link add link eth0 vrrp.51 address 00:00:5e:00:01:33 type macvlan mode private");
        let index = config.ifindex("vrrp.51").unwrap();
        wait_for(&mut monitor, eth0, |t| t.interface(PORT).is_some());
        let link = |m: &Monitor| m.links().iter().find(|l| l.ifindex == index).cloned();
        let macvlan_of = link(&monitor).unwrap().macvlan_of;
        assert_eq!(macvlan_of, Some(eth0));
        let veth = monitor.links().iter().find(|l| l.ifindex == eth0).unwrap();
        assert_eq!(veth.macvlan_of, None, "the other end of a cable is none");
        let down = monitor.topology(&[(PORT, eth0)]);
        assert_eq!(down.macvlans(), []);

        config.set_up("vrrp.51", true).unwrap();
        let t = wait_for(&mut monitor, eth0, |t| !t.macvlans().is_empty());
        let above = Macvlan {
            port: PORT,
            below: eth0,
            ifindex: index,
            mac: Mac([0, 0, 0x5e, 0, 1, 0x33]),
        };
        assert_eq!(t.macvlans(), [above]);
        let both = monitor.topology(&[(PORT, eth0), (PortId(PORT.0 + 1), index)]);
        assert_eq!(both.macvlans(), [], "it is a port itself");
        config.add_address("vrrp.51", ip("10.9.0.51"), 32).unwrap();
        wait_for(&mut monitor, eth0, |t| t.is_local(ip("10.9.0.51")));
        config.delete("vrrp.51").unwrap();
        wait_for(&mut monitor, eth0, |t| t.macvlans().is_empty());
    });
}
