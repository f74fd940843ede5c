//! The example does what it says.

#[expect(dead_code, reason = "its command line is not used here")]
#[path = "../examples/pool.rs"]
mod pool;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lvs_health::pool::Event;
use lvs_health::{Kind, Timing};
use pool::Addresses;

const PATIENCE: Duration = Duration::from_secs(60);

fn addr(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("an address")
}

/// Whom the next choices name, in all.
fn chosen(addresses: &Addresses) -> BTreeSet<SocketAddr> {
    (0..6).filter_map(|_| addresses.choose()).collect()
}

#[test]
fn who_fails_is_left_out_until_it_recovers() {
    let [one, two, three] = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let servers = [&one, &two, &three].map(addr);
    let timing = Timing {
        interval: Duration::from_millis(50),
        retry_delay: Duration::from_millis(20),
        warmup: Duration::from_millis(50),
        ..Timing::default()
    };
    let (tell, told) = mpsc::channel();
    let addresses = Addresses::keep(&servers, Kind::Tcp, timing, move |event| {
        let _ = tell.send(event.clone());
    })
    .expect("a driver");
    let wait_for = |what: fn(&Event<SocketAddr>) -> bool| {
        let start = Instant::now();
        loop {
            let event = told.recv_timeout(PATIENCE).expect("news");
            if what(&event) {
                return event;
            }
            assert!(start.elapsed() < PATIENCE);
        }
    };
    assert_eq!(chosen(&addresses), BTreeSet::from(servers));

    drop(two);
    let down = wait_for(|event| matches!(event, Event::ServerDown { .. }));
    assert!(matches!(down, Event::ServerDown { server, .. } if server == servers[1]));
    assert_eq!(chosen(&addresses), BTreeSet::from([servers[0], servers[2]]));

    let two = TcpListener::bind(servers[1]).expect("the same port");
    let up = wait_for(|event| matches!(event, Event::ServerUp { .. }));
    assert!(matches!(up, Event::ServerUp { server, .. } if server == servers[1]));
    assert_eq!(chosen(&addresses), BTreeSet::from(servers));

    drop([one, two, three]);
    wait_for(|event| matches!(event, Event::QuorumLost { .. }));
    let start = Instant::now();
    while addresses.choose().is_some() {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
}
