//! Bytes: parsing, checksums, rewriting. No budget of their own; all of them are part of the pipeline's.

use lvs_core::Encapsulation;
use std::hint::black_box;

use benches::bed::{self, INSIDE, VIP};
use benches::frames::{self, OWN, PEER, SMALL};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lvs_core::{Endpoint, Rewrite, TcpFlags};
use lvs_fwd::checksum::{self, Delta};
use lvs_fwd::frame::{BURST, Frame, Offload, Outputs, PortId};
use lvs_fwd::parse::{IpPacket, Parsed, parse};
use lvs_fwd::rewrite::{Egress, Rewriter};
use lvs_fwd::route::NextHop;

fn endpoint(s: &str) -> Endpoint {
    s.parse().expect("an endpoint")
}

fn both_families() -> [(&'static str, Vec<u8>); 2] {
    let v6 = (endpoint("[fd00:1::2]:40000"), endpoint("[fd00:9::100]:80"));
    [
        ("v4", frames::tcp(bed::client(7), VIP, TcpFlags::ACK, SMALL)),
        ("v6", frames::tcp(v6.0, v6.1, TcpFlags::ACK, 60)),
    ]
}

fn parsed(frame: &[u8]) -> IpPacket {
    match parse(frame, Offload::default(), OWN) {
        Ok(Parsed::Ip(packet)) => packet,
        other => panic!("not a packet: {other:?}"),
    }
}

fn parsing(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Elements(1));
    for (family, frame) in both_families() {
        group.bench_function(format!("tcp {family}"), |b| {
            b.iter(|| parse(black_box(&frame), Offload::default(), OWN));
        });
    }
}

fn checksums(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    let bytes = vec![0x5a; 65_536];
    for len in [64, 1500, 65_536] {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("whole, {len} bytes"), |b| {
            b.iter(|| checksum::of(black_box(&bytes[..len])));
        });
    }
    group.throughput(Throughput::Elements(1));
    let (old, new) = (bed::server(1).ip, bed::server(2).ip);
    group.bench_function("by difference: an address and a port", |b| {
        b.iter(|| {
            let mut delta = Delta::new();
            delta.ip(black_box(old), black_box(new));
            delta.u16(black_box(80), black_box(8080));
            delta.apply_full(black_box(0x1234))
        });
    });
}

/// What has been rewritten is rewritten again: addresses, ports and TTL have other values then, but the work
/// is the same, since everything is done by difference. So nothing need be restored.
fn rewriting(c: &mut Criterion) {
    let mut group = c.benchmark_group("rewrite");
    group.throughput(Throughput::Elements(BURST as u64));
    let hop = NextHop {
        port: INSIDE,
        src_mac: OWN,
        dst_mac: PEER,
        mtu: 1500,
    };
    for (family, bytes) in both_families() {
        let (server, local) = match family {
            "v4" => (bed::server(0), endpoint("10.10.0.100:2000")),
            _ => (
                endpoint("[fd00:10::11]:8080"),
                endpoint("[fd00:10::100]:2000"),
            ),
        };
        let egress = Egress {
            hop,
            source: Some(local.ip),
        };
        let (src, dst) = (Some(local), Some(server));
        let methods = [
            ("nat", Rewrite::Nat { src: None, dst }),
            ("fullnat", Rewrite::Nat { src, dst }),
            (
                "route",
                Rewrite::Route {
                    next_hop: server.ip,
                },
            ),
            (
                "tunnel",
                Rewrite::Tunnel {
                    remote: server.ip,
                    encapsulation: Encapsulation::Ipip,
                },
            ),
        ];
        for (name, rewrite) in methods {
            let packet = parsed(&bytes);
            let mut frames: Vec<Frame> = (0..BURST).map(|_| Frame::default()).collect();
            for f in &mut frames {
                f.fill(&bytes, Offload::default(), PortId(0));
            }
            let mut rewriter = Rewriter::new(1);
            let mut outputs = Outputs::default();
            group.bench_function(format!("{name} {family}"), |b| {
                b.iter(|| {
                    outputs.clear();
                    for (i, frame) in frames.iter_mut().enumerate() {
                        let sent = rewriter.emit(
                            black_box(&rewrite),
                            black_box(&egress),
                            i,
                            frame,
                            black_box(&packet),
                            &mut outputs,
                        );
                        debug_assert_eq!(sent, Ok(()));
                    }
                });
            });
        }
    }
}

criterion_group!(benches, parsing, checksums, rewriting);
criterion_main!(benches);
