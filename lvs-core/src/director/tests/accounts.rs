//! Whatever happens, the books balance: what servers count is what the table holds.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SERVERS: [&str; 3] = ["10.10.0.11", "10.10.0.12", "10.10.0.13"];

/// Services of every kind: plain TCP and UDP, one packet, persistent on a port, on all ports, on FTP's, of a mark.
fn services() -> Vec<(ServiceKey, ServiceOptions)> {
    let persistence = Some(Persistence {
        timeout: Duration::from_secs(50),
        prefix: 31,
        engine: None,
    });
    let plain = ServiceOptions::default;
    let persistent = || ServiceOptions {
        persistence,
        ..plain()
    };
    let one_packet = ServiceOptions {
        one_packet: true,
        ..plain()
    };
    let (family, mark) = (Family::V4, 7);
    vec![
        (ServiceKey::tcp(ep("10.9.0.100:80")), plain()),
        (ServiceKey::udp(ep("10.9.0.100:53")), plain()),
        (ServiceKey::udp(ep("10.9.0.100:54")), one_packet),
        (ServiceKey::tcp(ep("10.9.0.101:80")), persistent()),
        (ServiceKey::tcp(ep("10.9.0.101:0")), persistent()),
        (ServiceKey::tcp(ep("10.9.0.102:21")), persistent()),
        (ServiceKey::Mark { family, mark }, persistent()),
        (
            ServiceKey::new(Protocol::SCTP, ep("10.9.0.100:80")),
            plain(),
        ),
    ]
}

#[derive(Clone, Debug)]
enum Op {
    Packet {
        client: u8,
        port: u16,
        service: usize,
        offset: u16,
        what: u8,
        outward: Option<usize>,
    },
    Announce {
        client: u8,
        port: u16,
        any: bool,
    },
    AddServer(usize, usize, u32, u32),
    EditServer(usize, usize, u32, u32),
    RemoveServer(usize, usize),
    Renew(usize),
    Settings(u16),
    Evict(u8),
    Wait(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let (service, server) = (0..8usize, 0..SERVERS.len());
    let edit = (service.clone(), server.clone(), 0..3u32, 0..5u32);
    prop_oneof![
        20 => (0..4u8, 1000..1004u16, service.clone(), 0..2u16, any::<u8>(), prop::option::weighted(0.2, 0..SERVERS.len()))
            .prop_map(|(client, port, service, offset, what, outward)| Op::Packet { client, port, service, offset, what, outward }),
        2 => (0..4u8, 1000..1004u16, any::<bool>()).prop_map(|(client, port, any)| Op::Announce { client, port, any }),
        3 => edit.clone().prop_map(|(s, d, w, u)| Op::AddServer(s, d, w, u)),
        3 => edit.prop_map(|(s, d, w, u)| Op::EditServer(s, d, w, u)),
        2 => (service.clone(), server).prop_map(|(s, d)| Op::RemoveServer(s, d)),
        1 => service.prop_map(Op::Renew),
        1 => any::<u16>().prop_map(Op::Settings),
        1 => any::<u8>().prop_map(Op::Evict),
        3 => (0..200_000u32).prop_map(Op::Wait),
    ]
}

fn sysctls(bits: u16) -> Sysctls {
    let bit = |n: u16| bits >> n & 1 != 0;
    Sysctls {
        expire_nodest_conn: bit(0),
        expire_quiescent_template: bit(1),
        sloppy_tcp: bit(2),
        sloppy_sctp: bit(3),
        schedule_icmp: bit(4),
        cache_bypass: bit(5),
        nat_icmp_send: bit(6),
        reopen_removed: bit(7),
        drop_entry: if bit(8) { 3 } else { 0 },
        drop_packet: if bit(9) { 3 } else { 0 },
        secure_tcp: if bit(10) { 3 } else { 0 },
        conn_reuse_mode: u32::from(bits >> 11 & 3),
        ..Sysctls::default()
    }
}

struct Books {
    lab: Lab,
    services: Vec<(ServiceKey, ServiceOptions)>,
    /// Every server that ever was.
    lives: Vec<Arc<dest::DestLive>>,
}

impl Books {
    fn new() -> Self {
        let mut lab = Lab::with(&Settings {
            max_connections: 40,
            helpers: vec![(Protocol::TCP, 21)],
            ..Settings::default()
        });
        let services = services();
        lab.edit(|d| {
            for (key, options) in &services {
                d.add_service(*key, Box::new(Least::default()), options.clone())?;
            }
            Ok(())
        });
        let lives = Vec::new();
        let mut books = Self {
            lab,
            services,
            lives,
        };
        (0..8).for_each(|s| books.run(&Op::AddServer(s, 0, 1, 0)));
        books
    }

    fn server(&self, service: usize, server: usize) -> Endpoint {
        Endpoint::new(ip(SERVERS[server]), self.services[service].0.port())
    }

    fn run(&mut self, op: &Op) {
        let key = |s: usize| self.services[s].0;
        let options = |weight, upper| DestOptions {
            upper,
            ..DestOptions::new(Method::Nat, weight)
        };
        match *op {
            Op::Packet { .. } => self.packet(op),
            Op::Announce { client, port, any } => {
                let control = tcp(&format!("10.9.1.{client}:{port}"), "10.9.0.102:21", ACK);
                let now = self.lab.now;
                self.lab.workers[0].assist(now, &control, |a| {
                    let client = Endpoint::new(a.client.ip, if any { 0 } else { port });
                    let (virt, dest) = (
                        Endpoint::new(a.virt.ip, 3000),
                        Endpoint::new(a.dest.ip, 3000),
                    );
                    a.expected.push(Expected { client, virt, dest });
                });
            }
            Op::AddServer(s, d, weight, upper) => {
                let (key, addr) = (key(s), self.server(s, d));
                let _ = self
                    .lab
                    .director
                    .edit(|draft| draft.add_dest(key, addr, &options(weight, upper)));
            }
            Op::EditServer(s, d, weight, upper) => {
                let (key, addr) = (key(s), self.server(s, d));
                let _ = self
                    .lab
                    .director
                    .edit(|draft| draft.edit_dest(key, addr, &options(weight, upper)));
            }
            Op::RemoveServer(s, d) => {
                let (key, addr) = (key(s), self.server(s, d));
                let _ = self.lab.director.edit(|draft| draft.remove_dest(key, addr));
            }
            Op::Renew(s) => {
                let (key, options) = self.services[s].clone();
                self.lab.edit(|d| {
                    d.remove_service(key)?;
                    d.add_service(key, Box::new(Least::default()), options)
                });
            }
            Op::Settings(bits) => self.lab.edit(|d| {
                d.set_sysctls(sysctls(bits));
                Ok(())
            }),
            Op::Evict(bits) => {
                // Bit by bit: whom of UDP, of TCP, of templates, and of which server.
                let which = |c: &ConnInfo| {
                    let bit = match c.protocol {
                        _ if c.is_template() => 2,
                        Protocol::UDP => 0,
                        _ => 1,
                    };
                    bits >> bit & 1 != 0 && (bits & 8 == 0 || c.dest.ip == ip(SERVERS[0]))
                };
                let gone = self.lab.director.evict(Time::default(), &which);
                let mut left = self.lab.director.listing();
                let (mut wanted, mut kept) = (Vec::new(), Vec::new());
                while left.next(Time::default(), &which, &mut wanted) {}
                self.lab
                    .director
                    .connections(Time::default(), |c| kept.push(c));
                assert!(wanted.is_empty() && gone <= 1000, "{wanted:?}");
                assert!(kept.iter().all(|c| !which(c)));
            }
            Op::Wait(ms) => {
                self.lab.wait(u64::from(ms));
                self.lab.director.tick(self.lab.now, u64::MAX);
            }
        }
        for service in self.lab.director.config().services() {
            for dest in service.dests() {
                if !self.lives.iter().any(|l| Arc::ptr_eq(l, dest.live())) {
                    self.lives.push(dest.live().clone());
                }
            }
        }
    }

    fn packet(&mut self, op: &Op) {
        let &Op::Packet {
            client,
            port,
            service,
            offset,
            what,
            outward,
        } = op
        else {
            return;
        };
        let key = self.services[service].0;
        let client = Endpoint::new(Ip::v4([10, 9, 1, client]), port);
        let (protocol, virt) = match key {
            ServiceKey::Addr { protocol, addr } => (protocol, addr),
            ServiceKey::Mark { .. } => (Protocol::TCP, ep("10.9.0.103:443")),
        };
        // An offset leads to the services of all ports, FTP's data, and nowhere.
        let port = if offset == 0 { virt.port } else { 3000 };
        let virt = Endpoint::new(virt.ip, port);
        let (src, dst) = match outward {
            Some(d) => (Endpoint::new(ip(SERVERS[d]), port), client),
            None => (client, virt),
        };
        let chunks = [
            Chunk::Init,
            Chunk::InitAck,
            Chunk::CookieEcho,
            Chunk::CookieAck,
            Chunk::Abort,
        ];
        self.lab.see(Segment {
            len: 40,
            flags: [SYN, ACK, FIN, RST, SYN_ACK, SYN, ACK, NONE][usize::from(what % 8)],
            chunk: chunks[usize::from(what) % chunks.len()],
            kind: match what >> 4 {
                0 => Kind::IcmpError,
                1 => Kind::LaterFragment,
                _ => Kind::Packet,
            },
            mark: if matches!(key, ServiceKey::Mark { .. }) {
                7
            } else {
                0
            },
            ..Segment::new(protocol, src, dst)
        });
    }

    fn balance(&self) -> Result<(), TestCaseError> {
        let mut counted: HashMap<Ip, (u64, u64, u64)> = HashMap::new();
        // Looked at from the beginning of time, also those are listed that are over and not yet removed: they count.
        let mut listed = Vec::new();
        let connections = |c| listed.push(c);
        self.lab.director.connections(Time::default(), connections);
        for c in listed {
            prop_assert!(c.method == Method::Bypass || c.method == Method::Nat);
            if c.method == Method::Bypass {
                continue;
            }
            let tally = counted.entry(c.dest.ip).or_default();
            match c.state {
                State::Template | State::Assured => tally.2 += 1,
                state if state.is_active() => tally.0 += 1,
                _ => tally.1 += 1,
            }
        }
        for server in SERVERS {
            let of = |count: fn(&dest::DestLive) -> u64| {
                let here = self.lives.iter().filter(|l| l.addr().ip == ip(server));
                here.map(|l| count(l)).sum::<u64>()
            };
            let kept = (
                of(dest::DestLive::active),
                of(dest::DestLive::inactive),
                of(dest::DestLive::persistent),
            );
            let (active, inactive, templates) = counted.remove(&ip(server)).unwrap_or_default();
            prop_assert_eq!(kept, (active, inactive, templates), "{}", server);
        }
        for service in self.lab.director.config().services() {
            for d in service.dests() {
                let (count, upper) = (d.active() + d.inactive(), u64::from(d.options().upper));
                let lower = upper - upper / 4;
                prop_assert!(!d.live().is_overloaded() || upper != 0 && count >= lower);
                prop_assert!(d.live().is_overloaded() || upper == 0 || count < upper);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// After every step, what each server counts (active, inactive, templates) is what the listing shows, so no count
    /// is ever negative and nothing is lost or counted twice; and the overload flag is where it must be.
    #[test]
    fn servers_count_what_the_table_holds(ops in prop::collection::vec(op(), 1..150)) {
        let mut books = Books::new();
        for op in &ops {
            books.run(op);
            books.balance()?;
        }
        let mut lab = books.lab;
        for _ in 0..40 {
            lab.wait(60_000);
            lab.director.tick(lab.now, u64::MAX);
        }
        prop_assert_eq!(lab.director.connection_count() + lab.director.template_count(), 0);
        for live in &books.lives {
            prop_assert_eq!((live.active(), live.inactive(), live.persistent()), (0, 0, 0));
        }
    }
}
