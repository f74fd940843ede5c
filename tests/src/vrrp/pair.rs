//! Two directors with the same virtual routers, and a client that watches.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::capture::Capture;
use crate::command::{eventually, lvsd, run, text};
use crate::daemon::SOCKET;
use crate::lan::{Family, Lan, Plan};
use crate::node::Node;
use crate::process::PATIENCE;
use crate::vrrp::fleet::{self, Cast, Router};
use crate::vrrp::wire::{Advert, Claim, FILTER};
use crate::vrrp::{Place, Side, Speaker};

/// The pair. What it does to its directors are steps; after each the test says who must be master of what.
#[derive(Debug)]
pub struct Pair {
    fleet: Vec<Router>,
    sides: [Side; 2],
    conf: [String; 2],
    speakers: [Option<Speaker>; 2],
    /// Killed and not started since, so that addresses may have remained.
    fallen: [bool; 2],
    captures: [Capture; 2],
    step: Duration,
    /// What each held then.
    before: [BTreeSet<IpAddr>; 2],
    /// Where they are. Last, as the logs of the others are there.
    pub lan: Lan,
}

impl Pair {
    /// Directors of one LAN, without servers; nothing runs yet.
    ///
    /// # Panics
    /// As [`Plan::build`].
    pub fn new(sides: [Side; 2], fleet: Vec<Router>) -> Self {
        let lan = Plan::one_arm(0).two_directors().build();
        for place in Place::BOTH {
            // Else IPv6 addresses are gone when their interface has been down.
            let node = node(&lan, place);
            node.sysctl(&[("net.ipv6.conf.eth0.keep_addr_on_down", "1")]);
        }
        let conf = Place::BOTH.map(|place| {
            let blocks = fleet.iter().map(|router| router.block(place, ""));
            GLOBAL.to_owned() + &blocks.collect::<String>()
        });
        Self {
            captures: Place::BOTH.map(|place| Capture::start(node(&lan, place), "eth0", FILTER)),
            lan,
            fleet,
            sides,
            conf,
            speakers: [None, None],
            fallen: [false, false],
            step: Duration::ZERO,
            before: [BTreeSet::new(), BTreeSet::new()],
        }
    }

    /// Its virtual routers.
    pub fn fleet(&self) -> &[Router] {
        &self.fleet
    }

    /// The host of one of them.
    pub fn node(&self, place: Place) -> &Node {
        node(&self.lan, place)
    }

    /// What a director has been given to read.
    pub fn conf(&self, place: Place) -> &str {
        &self.conf[place as usize]
    }

    /// Gives a director something else to read, from its next start on.
    pub fn configure(&mut self, place: Place, conf: String) {
        self.conf[place as usize] = conf;
    }

    /// Starts a director.
    ///
    /// # Panics
    /// If it does not run.
    pub fn start(&mut self, place: Place) {
        self.step();
        let (side, conf) = (self.sides[place as usize], self.conf(place));
        let speaker = side.start(&self.lan, self.node(place), conf);
        self.speakers[place as usize] = Some(speaker);
        self.fallen[place as usize] = false;
    }

    /// Gives a director something else to read, and tells it to read it now.
    ///
    /// # Panics
    /// If it does not run.
    pub fn reload(&mut self, place: Place, conf: String) {
        self.step();
        self.configure(place, conf);
        let speaker = self.speakers[place as usize].as_ref().expect("it runs");
        speaker.reload(self.node(place), self.conf(place));
    }

    /// Stops it, and sees it say goodbye for all that it was master of.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn stop(&mut self, place: Place) {
        let held = self.held(place);
        self.step();
        self.speakers[place as usize]
            .take()
            .expect("it runs")
            .stop();
        let released = || -> BTreeSet<IpAddr> {
            let adverts = self.adverts(place, |a| a.priority == 0);
            adverts.iter().map(|(router, _)| router.vip()).collect()
        };
        let all = eventually(PATIENCE, || released() == held);
        assert!(all, "held {held:?} but released {:?}", released());
        assert!(self.held(place).is_empty(), "{:?}", self.held(place));
    }

    /// Ends it by SIGKILL.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self, place: Place) {
        self.step();
        self.speakers[place as usize]
            .take()
            .expect("it runs")
            .kill();
        self.fallen[place as usize] = true;
    }

    /// What it has said.
    ///
    /// # Panics
    /// If it does not run.
    pub fn said(&self, place: Place) -> String {
        let speaker = self.speakers[place as usize].as_ref();
        speaker.expect("it runs").said()
    }

    /// Does something to the directors that is a step as a start is.
    pub fn disturb(&mut self, work: impl FnOnce(&Lan)) {
        self.step();
        work(&self.lan);
    }

    /// Virtual addresses a director holds.
    pub fn held(&self, place: Place) -> BTreeSet<IpAddr> {
        let shown = run(&["ip", "-n", self.node(place).ns(), "-o", "addr", "show"]);
        let held: BTreeSet<IpAddr> = shown
            .lines()
            .filter_map(|line| line.split_whitespace().nth(3)?.split('/').next())
            .filter_map(|ip| ip.parse().ok())
            .collect();
        let vips = self.fleet.iter().map(Router::vip);
        vips.filter(|vip| held.contains(vip)).collect()
    }

    /// The address that adverts of a director come from.
    ///
    /// # Panics
    /// If it has none.
    pub fn source(&self, place: Place, router: &Router) -> IpAddr {
        if router.family() == Family::V6 && router.cast == Cast::Multicast {
            let argv = [
                "ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link",
            ];
            let shown = self.node(place).run(&argv);
            let ip = shown.split_whitespace().nth(3);
            let ip = ip.and_then(|ip| ip.split('/').next()?.parse().ok());
            ip.unwrap_or_else(|| panic!("a link-local address: {shown}"))
        } else {
            fleet::director(place, router.family())
        }
    }

    /// Who two keepalived agree on when each of them is master: the higher priority, else the higher address.
    pub fn winner(&self, router: &Router) -> Place {
        let strength = |place: Place| (router.priority(place), self.source(place, router));
        let [first, second] = Place::BOTH.map(strength);
        if first > second {
            Place::First
        } else {
            Place::Second
        }
    }

    /// Waits until each virtual router has the masters that `masters` says.
    ///
    /// # Panics
    /// If it does not come to that.
    #[track_caller]
    pub fn await_held(&self, step: &str, masters: impl Fn(&Self, &Router) -> Vec<Place>) {
        self.hold(step, &self.wanted(masters));
    }

    /// The addresses that either shall hold.
    fn wanted(&self, masters: impl Fn(&Self, &Router) -> Vec<Place>) -> [BTreeSet<IpAddr>; 2] {
        Place::BOTH.map(|place| {
            let its = |router: &&Router| masters(self, router).contains(&place);
            let vips = self.fleet.iter().filter(its).map(Router::vip);
            vips.collect()
        })
    }

    #[track_caller]
    fn hold(&self, step: &str, wanted: &[BTreeSet<IpAddr>; 2]) {
        let came = eventually_seldom(|| self.all_right(wanted));
        assert!(came, "{step}: {}", self.difference(wanted));
    }

    fn all_right(&self, wanted: &[BTreeSet<IpAddr>; 2]) -> bool {
        let right = |place: Place| {
            self.fallen[place as usize] || self.held(place) == wanted[place as usize]
        };
        Place::BOTH.into_iter().all(right)
    }

    /// Waits until each virtual router has the masters that `masters` says; if it is one, sees that it has announced itself if
    /// it is new, that the client finds it and that nobody else speaks.
    ///
    /// # Panics
    /// If it does not come to that, or does not stay so.
    #[track_caller]
    pub fn await_masters(&self, step: &str, masters: impl Fn(&Self, &Router) -> Vec<Place>) {
        let wanted = self.wanted(masters);
        self.hold(step, &wanted);

        let two = wanted[0].intersection(&wanted[1]).next().is_some();
        if !two {
            self.await_quiet(step, &wanted);
            self.await_found(step, &wanted);
        }
        let new = |i: usize| {
            wanted[i]
                .difference(&self.before[i])
                .copied()
                .collect::<BTreeSet<_>>()
        };
        for place in Place::BOTH {
            let new = new(place as usize);
            let claimed = eventually_seldom(|| self.claims(place).is_superset(&new));
            assert!(
                claimed,
                "{step}: {new:?}, but claimed {:?}",
                self.claims(place)
            );
        }
        self.agree_states(step, &wanted);
        let same = self.all_right(&wanted);
        assert!(same, "{step}, later: {}", self.difference(&wanted));
    }

    /// Where lvsd is, it says itself what can be seen.
    #[track_caller]
    fn agree_states(&self, step: &str, wanted: &[BTreeSet<IpAddr>; 2]) {
        for place in Place::BOTH {
            let Some(Speaker::Lvsd(_)) = self.speakers[place as usize] else {
                continue;
            };
            let mut masters = BTreeSet::new();
            let same = eventually_seldom(|| {
                masters = self.masters_by_name(place);
                let held = self.fleet.iter();
                let held = held.filter(|r| wanted[place as usize].contains(&r.vip()));
                masters == held.map(Router::name).collect()
            });
            assert!(
                same,
                "{step}: lvsd at {place:?} says that it is master of {masters:?}"
            );
        }
    }

    /// What an lvsd says that it is master of.
    fn masters_by_name(&self, place: Place) -> BTreeSet<String> {
        let node = self.node(place);
        let socket = node.file(SOCKET);
        let socket = socket.to_str().expect("a path in UTF-8");
        // Its exit status says whether there are faults.
        let out = node.output(&[&lvsd(), "vrrp", "--json", "--socket", socket]);
        let status: Value = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}{}", text(&out.stdout), text(&out.stderr)));
        let routers = status["routers"].as_array().expect("a list of routers");
        let masters = routers.iter().filter(|router| router["state"] == "MASTER");
        let names = masters.filter_map(|router| router["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// What is not as wanted.
    fn difference(&self, wanted: &[BTreeSet<IpAddr>; 2]) -> String {
        let held = Place::BOTH.map(|place| self.held(place));
        let mut text = String::new();
        for router in &self.fleet {
            let [has, should] = [&held, wanted].map(|sets| {
                let masters = Place::BOTH.into_iter();
                let masters = masters.filter(|p| sets[*p as usize].contains(&router.vip()));
                masters.collect::<Vec<_>>()
            });
            if has != should {
                text += &format!("\n{router}: {has:?} instead of {should:?}");
            }
        }
        text
    }

    /// Waits until for the time between two adverts only masters have spoken, and all of them that are heard: the kernel sends
    /// nothing to a single host that is not there.
    #[track_caller]
    fn await_quiet(&self, step: &str, wanted: &[BTreeSet<IpAddr>; 2]) {
        let intervals = self.fleet.iter().map(|router| router.interval);
        // Late timers are no fault.
        let window = intervals.max().unwrap_or_default() * 5 / 4 + Duration::from_millis(50);
        let unicast = self.fleet.iter().filter(|r| r.cast == Cast::Unicast);
        let unicast: BTreeSet<IpAddr> = unicast.map(Router::vip).collect();
        let mut speak = [BTreeSet::new(), BTreeSet::new()];
        let quiet = eventually_seldom(|| {
            let since = now() - window;
            speak = Place::BOTH.map(|place| {
                let adverts = self.adverts(place, |a| a.at >= since && a.priority != 0);
                adverts.iter().map(|(router, _)| router.vip()).collect()
            });
            let pairs = speak.iter().zip(wanted);
            pairs.fold(true, |all, (speak, wanted): (&BTreeSet<_>, _)| {
                let silent: BTreeSet<_> = wanted.difference(speak).copied().collect();
                all && speak.is_subset(wanted) && silent.is_subset(&unicast)
            })
        });
        assert!(quiet, "{step}: adverts by {speak:?} instead of {wanted:?}");
    }

    /// Waits until the client's packets for each address go to its master.
    #[track_caller]
    fn await_found(&self, step: &str, wanted: &[BTreeSet<IpAddr>; 2]) {
        // The addresses that a dead director still holds are answered for by its kernel.
        if self.fallen.contains(&true) {
            return;
        }
        let macs = Place::BOTH.map(|place| self.node(place).mac_bytes("eth0"));
        let masters = self.fleet.iter().flat_map(|router| {
            let masters = (0..2).filter(|i| wanted[*i].contains(&router.vip()));
            masters.map(|i| {
                (
                    router.vip(),
                    if router.vmac { router.mac() } else { macs[i] },
                )
            })
        });
        let all: BTreeMap<_, _> = masters.map(|(ip, mac)| (ip, written(mac))).collect();
        let mut found = BTreeMap::new();
        let same = eventually_seldom(|| {
            found = self.neighbours(all.keys());
            found == all
        });
        assert!(
            same,
            "{step}: the client finds {found:?} instead of {all:?}"
        );
    }

    /// Whom the client asks for these addresses now.
    pub fn neighbours<'a>(
        &self,
        ips: impl Iterator<Item = &'a IpAddr>,
    ) -> BTreeMap<IpAddr, String> {
        let ips: Vec<_> = ips.map(ToString::to_string).collect();
        let script = format!(
            "ip neigh flush dev eth0\nfor ip in {}; do ping -c 1 -W 2 -q $ip >/dev/null & done\nwait\nip neigh show dev eth0\n",
            ips.join(" ")
        );
        let shown = self.lan.client.output(&["sh", "-c", &script]);
        let shown = text(&shown.stdout);
        let lines = shown.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let ip: IpAddr = words.next()?.parse().ok()?;
            words.find(|word| *word == "lladdr")?;
            Some((ip, words.next()?.to_owned()))
        });
        let asked = |ip: &IpAddr| ips.contains(&ip.to_string());
        lines.filter(|(ip, _)| asked(ip)).collect()
    }

    /// Adverts that a director has sent since the last step was begun.
    pub fn adverts(&self, place: Place, filter: impl Fn(&Advert) -> bool) -> Vec<(Router, Advert)> {
        let all = self.captures[place as usize].so_far();
        let adverts = all.iter().filter_map(Advert::of);
        let adverts = adverts.filter(|a| a.at >= self.step && filter(a));
        let named = |advert: Advert| Some((*self.router(&advert)?, advert));
        adverts.filter_map(named).collect()
    }

    fn router(&self, advert: &Advert) -> Option<&Router> {
        let same = |r: &&Router| {
            r.vrid == advert.vrid && (r.family() == Family::V4) == advert.src.is_ipv4()
        };
        self.fleet.iter().find(same)
    }

    /// Addresses a director has claimed since the last step was begun.
    pub fn claims(&self, place: Place) -> BTreeSet<IpAddr> {
        let all = self.captures[place as usize].so_far();
        let claims = all.iter().filter_map(Claim::of);
        let claims = claims.filter(|claim| claim.at >= self.step);
        claims.map(|claim| claim.ip).collect()
    }

    /// Ends the captures and judges all that was sent.
    ///
    /// # Panics
    /// If tshark finds a packet malformed, or an advert is not what it must be.
    #[track_caller]
    pub fn await_good_captures(self) {
        for (place, capture) in Place::BOTH.into_iter().zip(&self.captures) {
            let faults = capture.faults();
            assert!(faults.is_empty(), "{place:?} sends: {faults}");
            let adverts: Vec<_> = capture.so_far().iter().filter_map(Advert::of).collect();
            assert!(!adverts.is_empty(), "{place:?} has sent nothing");
            for advert in &adverts {
                let router = self.router(advert);
                let router = router.unwrap_or_else(|| panic!("{place:?} sends {advert:?}"));
                let group = match (router.cast, router.family()) {
                    (Cast::Multicast, Family::V4) => Ipv4Addr::new(224, 0, 0, 18).into(),
                    (Cast::Multicast, Family::V6) => {
                        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into()
                    }
                    (Cast::Unicast, family) => fleet::director(place.other(), family),
                };
                let right = advert.dst == group
                    && advert.version == router.version()
                    && advert.priority <= router.priority(place)
                    && (router.cast == Cast::Unicast || advert.ttl == 255);
                assert!(right, "{router} at {place:?}: {advert:?}");
            }
        }
    }

    fn step(&mut self) {
        self.before = Place::BOTH.map(|place| self.held(place));
        self.step = now();
    }
}

/// What every file begins with. They come before others, as a machine may be so busy that three adverts in a row are late. (At a
/// real-time priority the kernel kills keepalived at some reloads, for its limit.)
pub const GLOBAL: &str =
    "global_defs {\n router_id pair\n script_user root\n vrrp_priority -20\n}\n";

fn node(lan: &Lan, place: Place) -> &Node {
    match place {
        Place::First => &lan.director,
        Place::Second => lan.second(),
    }
}

/// A link-layer address as `ip` writes it.
fn written(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// Since 1970, as captures count.
fn now() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is right")
}

/// Asks less often than [`crate::command::eventually`]: asking takes a process, and those under test shall not be kept waiting.
fn eventually_seldom(mut done: impl FnMut() -> bool) -> bool {
    eventually(PATIENCE, || {
        let done = done();
        if !done {
            thread::sleep(Duration::from_millis(80));
        }
        done
    })
}
