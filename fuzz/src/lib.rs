//! What the fuzzers do with an input. Plain functions, so that an ordinary test can do it with every stored one.
//!
//! ```text
//! cargo +nightly fuzz run pipeline fuzz/corpus/pipeline fuzz/seeds/pipeline
//! ```
//!
//! What a fuzzer finds goes into `fuzz/seeds/TARGET/` once it is understood; `cargo test -p lvsd` replays
//! all that is there.

use lvs_core::DestOptions;
use lvs_core::ServiceOptions;
use std::net::Ipv4Addr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use lvs_core::{
    ConfigError, Director, DropReason, Endpoint, Ip, LocalAddr, Method, PassReason, Protocol,
    ServiceKey, Settings, Time,
};
use lvs_fwd::frag::FragMemory;
use lvs_fwd::frame::{Burst, Offload, Outputs, PortId};
use lvs_fwd::io::pcap::Reader;
use lvs_fwd::pipeline::{Pipeline, Shared};
use lvs_fwd::route::{Interface, Mac, Route, Topology};
use lvsd::adm::execute::execute;
use lvsd::rules::{self, Command, Names, RuleSet};

mod advert;
mod config;
mod control;
mod payload;
mod probe;
mod replay;
mod request;
mod segment;

pub use advert::advert;
pub use config::config;
pub use control::control;
pub use payload::{ftp, sip};
pub use probe::{datagram, http, smtp, tls};
pub use replay::{capture, trace};
pub use request::request;
pub use segment::segment;

/// Reads a capture to its end or first fault.
pub fn pcap(input: &[u8]) {
    let Ok(mut reader) = Reader::new(input) else {
        return;
    };
    let mut total = 0;
    while let Ok(Some(record)) = reader.next_record() {
        total += record.bytes.len();
    }
    assert!(total <= input.len());
}

/// Parses a rule file: what is accepted means the same when it is written down again, and a director takes it; what is
/// wrong is shown. Then takes each line for a command of ipvsadm.
pub fn rules(input: &[u8]) {
    let source = String::from_utf8_lossy(input);
    match rules::parse(&source, &NoNames) {
        Ok(set) => {
            assert_eq!(rules::parse(&set.to_string(), &NoNames).as_ref(), Ok(&set));
            take(&set);
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            let shown = rules::render(&problems, "file", &source);
            assert!(!shown.is_empty());
        }
    }
    let director = Director::new(&Settings::default());
    for line in source.lines().take(100) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match rules::parse_command(&words, &NoNames) {
            // Refused or not: it must not panic.
            Ok(command) => drop(execute(&director, &command)),
            Err(e) => assert!(!e.message.is_empty() && e.exit != 0),
        }
    }
}

/// Gives a director the services of a rule set.
fn take(set: &RuleSet) {
    let director = Director::new(&Settings::default());
    for service in &set.services {
        let mut alone = service.clone();
        alone.servers.clear();
        execute(&director, &Command::AddService(alone)).expect("a service that was accepted");
        for server in &service.servers {
            let command = Command::AddServer(service.key, *server);
            execute(&director, &command).expect("a server that was accepted");
        }
    }
    execute(&director, &Command::SetTimeouts(set.timeouts)).expect("timeouts that were accepted");
}

/// Only schedulers have names: a fuzzer must not ask the network.
struct NoNames;

impl Names for NoNames {
    fn has_scheduler(&self, name: &str) -> bool {
        lvs_sched::NAMES.iter().any(|known| known.name == name)
    }

    fn host(&self, _: &str) -> Result<Ipv4Addr, String> {
        Err("no names here".to_owned())
    }

    fn port(&self, service: &str, _: Protocol) -> Option<u16> {
        (service == "http").then_some(80)
    }
}

/// Sends bursts of frames through a pipeline. The first byte chooses the forwarding method; then come frames,
/// each behind three bytes: flags ([`flag`]) and its length, big-endian. A frame with [`flag::OFFLOAD`]
/// begins with the ten bytes of a virtio header.
pub fn pipeline(input: &[u8]) {
    let Some((&method, mut rest)) = input.split_first() else {
        return;
    };
    let methods = [
        Method::Nat,
        Method::DirectRoute,
        Method::Tunnel,
        Method::FullNat,
    ];
    let mut pipeline = bed(methods[usize::from(method) % methods.len()]);
    let (mut burst, mut outputs) = (Burst::default(), Outputs::default());
    let mut now = Time::from_secs(1);
    while let Some((&[flags, high, low], more)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low])).min(more.len());
        let (mut bytes, more) = more.split_at(len);
        rest = more;
        let mut offload = Offload::default();
        if flags & flag::OFFLOAD != 0
            && let Some((header, frame)) = bytes.split_first_chunk::<10>()
        {
            offload = self::offload(header);
            bytes = frame;
        }
        if let Some(frame) = burst.next_free()
            && frame.fill(bytes, offload, PortId(u16::from(flags & flag::INSIDE)))
        {
            burst.commit();
        }
        if flags & flag::FLUSH != 0 || burst.is_full() || rest.is_empty() {
            pipeline.process(now, &mut burst, &mut outputs);
            judge(&pipeline, &burst, &outputs);
            burst.clear();
        }
        if flags & flag::LATER != 0 {
            now = now + std::time::Duration::from_secs(20);
            pipeline.worker().expire(now, 100);
            burst.clear();
            pipeline.release(now, &mut burst, &mut outputs);
            judge(&pipeline, &burst, &outputs);
            burst.clear();
        }
    }
}

/// Reads a virtio header.
fn offload(header: &[u8; 10]) -> Offload {
    let word = |i: usize| u16::from_le_bytes([header[i], header[i + 1]]);
    Offload {
        flags: header[0],
        gso_type: header[1],
        hdr_len: word(2),
        gso_size: word(4),
        csum_start: word(6),
        csum_offset: word(8),
    }
}

/// What stands before a frame in the pipeline's input.
pub mod flag {
    /// It comes from the servers' side.
    pub const INSIDE: u8 = 1;
    /// A virtio header comes first.
    pub const OFFLOAD: u8 = 2;
    /// It ends its burst.
    pub const FLUSH: u8 = 4;
    /// Time passes after it.
    pub const LATER: u8 = 8;
}

fn judge(pipeline: &Pipeline, burst: &Burst, outputs: &Outputs) {
    for port in [PortId(0), PortId(1)] {
        for packet in outputs.for_port(port, burst.frames()) {
            let len = packet.head.len() + packet.body.len();
            let o = packet.offload;
            assert!(len >= 34, "{len} bytes sent");
            if o.needs_csum() {
                let end = usize::from(o.csum_start) + usize::from(o.csum_offset) + 2;
                assert!(end <= len, "{o:?} in {len} bytes");
            }
        }
    }
    let c = pipeline.counters().counts();
    let passed: u64 = PassReason::ALL.iter().map(|r| c.passed(*r)).sum();
    let dropped: u64 = DropReason::ALL.iter().map(|r| c.dropped(*r)).sum();
    let ended = c.forwarded_in + c.forwarded_out + c.arp_answered + passed + dropped;
    assert!(ended <= c.received && c.received <= ended + c.parked + c.held);
}

/// Addresses and Ethernet addresses are those of the frames in `seeds/pipeline`.
fn bed(method: Method) -> Pipeline {
    let ip = |s: &str| -> Ip { s.parse().expect("an address") };
    let director = Director::new(&Settings::default());
    let lip = [
        LocalAddr::new(ip("10.0.0.200")),
        LocalAddr::new(ip("fd00::200")),
    ];
    let made: Result<(), ConfigError> = director.edit(|draft| {
        for (vip, server, silent) in [
            ("198.51.100.80", "10.0.0.11", "10.0.0.12"),
            ("2001:db8:80::80", "fd00::11", "fd00::12"),
        ] {
            for protocol in [Protocol::TCP, Protocol::UDP] {
                let addr = Endpoint::new(ip(vip), 80);
                let key = ServiceKey::new(protocol, addr);
                let scheduler = lvs_sched::build("wrr").expect("a known scheduler");
                draft.add_service(key, scheduler, ServiceOptions::with_local_addrs(&lip))?;
                draft.add_dest(
                    key,
                    Endpoint::new(ip(silent), 8080),
                    &DestOptions::new(method, 1),
                )?;
                draft.add_dest(
                    key,
                    Endpoint::new(ip(server), 8080),
                    &DestOptions::new(method, 3),
                )?;
            }
        }
        Ok(())
    });
    made.expect("a sound configuration");
    let shared = Shared::new(topology(), FragMemory::new(16, [1, 2, 3, 4]));
    Pipeline::new(director.worker().expect("the first worker"), &shared, 0)
}

/// A gateway to clients on one side, servers on the other.
fn topology() -> Arc<ArcSwap<Topology>> {
    let ip = |s: &str| -> Ip { s.parse().expect("an address") };
    let mut t = Topology::builder();
    for (port, own) in [
        (0, ["192.0.2.1", "2001:db8:1::1"]),
        (1, ["10.0.0.1", "fd00::1"]),
    ] {
        t.interface(Interface {
            port: PortId(port),
            ifindex: u32::from(port) + 2,
            name: format!("port{port}"),
            mac: Mac([2, 0, 0, 0, 0, 0x10 + port as u8]),
            mtu: if port == 0 { 1500 } else { 1300 },
            addrs: own.map(ip).to_vec(),
        });
    }
    for (dst, prefix_len, ifindex, gateway) in [
        ("0.0.0.0", 0, 2, Some("192.0.2.254")),
        ("::", 0, 2, Some("2001:db8:1::fe")),
        ("10.0.0.0", 24, 3, None),
        ("fd00::", 64, 3, None),
    ] {
        t.route(Route {
            dst: ip(dst),
            prefix_len,
            metric: 0,
            ifindex,
            gateway: gateway.map(ip),
            prefsrc: None,
            mtu: None,
        });
    }
    for (ifindex, addr) in [
        (2, "192.0.2.254"),
        (2, "2001:db8:1::fe"),
        (3, "10.0.0.11"),
        (3, "fd00::11"),
    ] {
        t.neighbour(ifindex, ip(addr), Mac([2, 0, 0, 0, 0, 0x20]));
    }
    Arc::new(ArcSwap::from_pointee(t.build()))
}
