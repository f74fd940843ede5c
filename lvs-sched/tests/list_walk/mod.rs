//! The schedulers as the kernel has them: straight walks through the list, table by table, without any index. What
//! ours must equal, choice by choice; the benches time them too.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lvs_core::dest::{Dest, DestLive};
use lvs_core::sched::{Arrival, Edit};
use lvs_core::{Ip, Segment, Time};
use lvs_sched::{Flags, hash};

/// A scheduler as the kernel walks it. A copy stands where the original stands, and shares its cache.
#[derive(Clone, Debug)]
pub(crate) enum Walk {
    Rr(Option<usize>),
    Wrr(Wrr),
    /// The first with the least cost for its weight.
    Least(fn(&Dest) -> u64),
    Lc,
    Nq,
    Fo,
    Ovf,
    Twos,
    Sh(Flags, Vec<usize>),
    Dh(Vec<usize>),
    Mh(Flags, Vec<usize>),
    Lblc(Rc<RefCell<Cache<Arc<DestLive>>>>),
    Lblcr(Rc<RefCell<Cache<Set>>>),
}

/// What lblc and lblcr have of addresses, and when each was last asked for: every half hour what has expired is
/// forgotten. (When there are too many of them is not in this model.)
#[derive(Clone, Debug)]
pub(crate) struct Cache<T> {
    began: Option<Time>,
    addresses: HashMap<Ip, (Time, T)>,
}

impl<T> Cache<T> {
    fn get(&mut self, addr: Ip, now: Time, expiration: Duration) -> Option<&mut T> {
        let began = *self.began.get_or_insert(now);
        let last_check = began + Duration::from_secs(now.since(began).as_secs() / 1800 * 1800);
        self.addresses
            .retain(|_, (used, _)| last_check.since(*used) < expiration);
        let (used, what) = self.addresses.get_mut(&addr)?;
        *used = now;
        Some(what)
    }

    fn insert(&mut self, addr: Ip, now: Time, what: T) {
        self.addresses.insert(addr, (now, what));
    }
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            began: None,
            addresses: HashMap::new(),
        }
    }
}

/// What lblcr has of an address: the newest first.
#[derive(Clone, Debug)]
pub(crate) struct Set(Vec<Arc<DestLive>>, Time);

#[derive(Clone, Debug, Default)]
pub(crate) struct Wrr {
    last: Option<usize>,
    level: i64,
    step: i64,
    top: i64,
}

impl Walk {
    pub(crate) fn new(name: &str, flags: Flags) -> Self {
        match name {
            "rr" => Self::Rr(None),
            "wrr" => Self::Wrr(Wrr::default()),
            "lc" => Self::Lc,
            "wlc" => Self::Least(overhead),
            "sed" => Self::Least(|d| d.active() + 1),
            "nq" => Self::Nq,
            "fo" => Self::Fo,
            "ovf" => Self::Ovf,
            "twos" => Self::Twos,
            "sh" => Self::Sh(flags, Vec::new()),
            "dh" => Self::Dh(Vec::new()),
            "mh" => Self::Mh(flags, Vec::new()),
            "lblc" => Self::Lblc(Rc::default()),
            "lblcr" => Self::Lblcr(Rc::default()),
            _ => panic!("no scheduler {name}"),
        }
    }

    /// Hears of one edit, `dests` being the list after it.
    pub(crate) fn edited(&mut self, dests: &[Dest], edit: Edit) {
        match self {
            Self::Rr(last) => {
                *last = match (edit, *last) {
                    (Edit::Added(i), Some(l)) if i <= l => Some(l + 1),
                    (Edit::Removed(i), Some(l)) if i <= l => l.checked_sub(1),
                    (_, last) => last,
                }
            }
            Self::Wrr(wrr) => {
                let weights = || dests.iter().map(|d| i64::from(d.weight()));
                let heaviest = weights().max().unwrap_or(0);
                wrr.step = match weights().fold(0, gcd) {
                    0 => 1,
                    divisor => divisor,
                };
                wrr.top = heaviest - (wrr.step - 1);
                wrr.last = None;
                if wrr.level > wrr.top || wrr.level == 0 {
                    wrr.level = wrr.top;
                } else if wrr.step > 1 {
                    wrr.level = wrr.level / wrr.step * wrr.step + 1;
                }
            }
            Self::Sh(_, table) => {
                let shares = dests.iter().enumerate();
                let turn =
                    shares.flat_map(|(i, d)| std::iter::repeat_n(i, d.weight().max(1) as usize));
                *table = turn.cycle().take(256).collect();
            }
            Self::Dh(table) => *table = (0..dests.len()).cycle().take(256).collect(),
            Self::Mh(_, table) => *table = mh_table(dests),
            _ => {}
        }
    }

    pub(crate) fn pick(&mut self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        let packet = arrival.packet;
        match self {
            Self::Rr(last) => {
                let begin = last.map_or(0, |l| l + 1);
                let order = (begin..dests.len()).chain(0..begin.min(dests.len()));
                let chosen = { order }.find(|&i| open(&dests[i]))?;
                *last = Some(chosen);
                Some(chosen)
            }
            Self::Wrr(wrr) => wrr.pick(dests),
            Self::Least(cost) => least(dests, cost),
            Self::Lc => {
                let mut best: Option<(u64, usize)> = None;
                for (i, d) in dests.iter().enumerate().filter(|(_, d)| open(d)) {
                    if best.is_none_or(|(least, _)| overhead(d) < least) {
                        best = Some((overhead(d), i));
                    }
                }
                best.map(|(_, i)| i)
            }
            Self::Nq => {
                let idle = dests.iter().position(|d| open(d) && d.active() == 0);
                idle.or_else(|| least(dests, &|d| d.active() + 1))
            }
            Self::Fo => heaviest(dests, |_| true),
            Self::Ovf => heaviest(dests, |d| d.active() <= u64::from(d.weight())),
            Self::Twos => twos(dests, arrival.random),
            Self::Sh(flags, table) => {
                let h = hash::source(packet.src.ip.fold(), port(*flags, packet));
                let at = |slot: usize| table.get(slot % 256).copied().filter(|&i| open(&dests[i]));
                let h = usize::from(h);
                at(h).or_else(|| {
                    let fallback = flags.has(Flags::FALLBACK);
                    { 0..256 }.find_map(|offset| at(h + (offset + h) % 256).filter(|_| fallback))
                })
            }
            Self::Dh(table) => {
                let h = hash::destination(packet.dst.ip.fold());
                table
                    .get(usize::from(h))
                    .copied()
                    .filter(|&i| open(&dests[i]))
            }
            Self::Mh(flags, table) => {
                let value = packet
                    .src
                    .ip
                    .fold()
                    .wrapping_add(u32::from(port(*flags, packet)));
                let slot = |value| hash::maglev(value) % 4093;
                let at = |slot: u32| {
                    table
                        .get(slot as usize)
                        .copied()
                        .filter(|&i| open(&dests[i]))
                };
                at(slot(value)).or_else(|| {
                    let mut shifts = (0..4093).map(|offset| (offset + slot(value)) % 4093);
                    shifts.find_map(|shift| {
                        at(slot(value.wrapping_add(shift))).filter(|_| flags.has(Flags::FALLBACK))
                    })
                })
            }
            Self::Lblc(cache) => {
                let mut cache = cache.borrow_mut();
                let cached = cache.get(packet.dst.ip, arrival.now, arrival.lblc_expiration);
                let cached = cached.and_then(|live| place(dests, live));
                let good = |&i: &usize| dests[i].weight() > 0 && !overloaded(dests, &dests[i]);
                if let Some(cached) = cached.filter(good) {
                    return Some(cached);
                }
                let fresh = least(dests, &overhead)?;
                cache.insert(packet.dst.ip, arrival.now, dests[fresh].live().clone());
                Some(fresh)
            }
            Self::Lblcr(cache) => {
                let mut cache = cache.borrow_mut();
                let cached = cache.get(packet.dst.ip, arrival.now, arrival.lblcr_expiration);
                let Some(Set(set, changed)) = cached else {
                    let fresh = least(dests, &overhead)?;
                    let set = Set(vec![dests[fresh].live().clone()], arrival.now);
                    cache.insert(packet.dst.ip, arrival.now, set);
                    return Some(fresh);
                };
                let best = least_of_set(dests, set);
                if set.len() > 1
                    && arrival.now > *changed + arrival.lblcr_expiration
                    && let Some(busiest) = busiest_of_set(dests, set)
                {
                    set.remove(busiest);
                    *changed = arrival.now;
                }
                if let Some(best) = best.filter(|&i| !overloaded(dests, &dests[i])) {
                    return Some(best);
                }
                let fresh = least(dests, &overhead)?;
                if !set
                    .iter()
                    .any(|live| Arc::ptr_eq(live, dests[fresh].live()))
                {
                    set.insert(0, dests[fresh].live().clone());
                    *changed = arrival.now;
                }
                Some(fresh)
            }
        }
    }
}

impl Wrr {
    fn pick(&mut self, dests: &[Dest]) -> Option<usize> {
        if self.top == 0 {
            return None;
        }
        let began = self.last;
        let (mut low_from_head, mut went_round, mut stop) = (false, false, None);
        loop {
            let next = self.last.map_or(0, |i| i + 1);
            for (i, d) in dests.iter().enumerate().skip(next) {
                self.last = Some(i);
                if !d.live().is_overloaded() && i64::from(d.weight()) >= self.level {
                    return Some(i);
                }
                if stop == Some(i) {
                    return None;
                }
            }
            self.last = None;
            self.level -= self.step;
            if self.level <= 0 {
                self.level = self.top;
                if low_from_head || began.is_none() {
                    return None;
                }
                went_round = true;
            }
            low_from_head = self.level <= self.step;
            if low_from_head && went_round {
                stop = began;
            }
        }
    }
}

fn open(d: &Dest) -> bool {
    d.weight() > 0 && !d.live().is_overloaded()
}

fn overhead(d: &Dest) -> u64 {
    256 * d.active() + d.inactive()
}

fn weight(d: &Dest) -> u64 {
    u64::from(d.weight())
}

fn least(dests: &[Dest], cost: &dyn Fn(&Dest) -> u64) -> Option<usize> {
    let mut best = dests.iter().position(open)?;
    for (i, d) in dests.iter().enumerate().skip(best + 1) {
        let closed = d.live().is_overloaded();
        if !closed && cost(&dests[best]) * weight(d) > cost(d) * weight(&dests[best]) {
            best = i;
        }
    }
    Some(best)
}

fn heaviest(dests: &[Dest], may: impl Fn(&Dest) -> bool) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (i, d) in dests.iter().enumerate() {
        if open(d) && may(d) && best.is_none_or(|best| d.weight() > dests[best].weight()) {
            best = Some(i);
        }
    }
    best
}

fn twos(dests: &[Dest], random: u64) -> Option<usize> {
    let total: u64 = dests.iter().filter(|d| open(d)).map(weight).sum();
    let mut other = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    other = (other ^ (other >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    other = (other ^ (other >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    other ^= other >> 31;
    let draws = [random, other];
    let mut left = draws.map(|r| ((u128::from(r) * u128::from(total + 1)) >> 64) as i128);
    let mut chosen = [None, None];
    for (i, d) in dests.iter().enumerate().filter(|(_, d)| open(d)) {
        for n in 0..2 {
            left[n] -= i128::from(d.weight());
            if left[n] <= 0 && chosen[n].is_none() {
                chosen[n] = Some(i);
            }
        }
        if let [Some(a), Some(b)] = chosen {
            let (one, two) = (&dests[a], &dests[b]);
            let second = weight(two) * overhead(one) > weight(one) * overhead(two);
            return Some(if second { b } else { a });
        }
    }
    None
}

fn port(flags: Flags, packet: &Segment) -> u16 {
    match packet.protocol.0 {
        6 | 17 | 132 if flags.has(Flags::PORT) => packet.src.port,
        _ => 0,
    }
}

fn mh_table(dests: &[Dest]) -> Vec<usize> {
    const SLOTS: u32 = 4093;
    let dests_from = dests.len().saturating_sub(SLOTS as usize);
    let last = |d: &Dest| i64::from(d.last_weight());
    let dests = &dests[dests_from..];
    let divisor = match dests.iter().map(last).fold(0, gcd) {
        0 => return Vec::new(),
        divisor => divisor,
    };
    let heaviest = dests.iter().map(last).max().unwrap_or(0) / divisor;
    let bits = (0..).find(|bits| heaviest >> bits == 0).unwrap_or(0);
    let shift = (bits - 6).max(0);
    let value = |d: &Dest| d.addr().ip.fold().wrapping_add(u32::from(d.addr().port));
    let permutation = |d: &Dest| {
        let first = hash::maglev(value(d)) % SLOTS;
        let skip = hash::maglev_skip(value(d)) % (SLOTS - 1) + 1;
        (0..SLOTS).map(move |n| {
            ((u64::from(first) + u64::from(n) * u64::from(skip)) % u64::from(SLOTS)) as usize
        })
    };
    let mut choices: Vec<_> = dests.iter().map(permutation).collect();
    let mut table = vec![usize::MAX; SLOTS as usize];
    let mut free = SLOTS;
    loop {
        for (i, d) in dests.iter().enumerate().filter(|(_, d)| last(d) > 0) {
            for _ in 0..((last(d) / divisor) >> shift).max(1) {
                let slot = choices[i].find(|&slot| table[slot] == usize::MAX);
                table[slot.expect("a free slot")] = dests_from + i;
                free -= 1;
                if free == 0 {
                    return table;
                }
            }
        }
    }
}

fn place(dests: &[Dest], live: &Arc<DestLive>) -> Option<usize> {
    let is_it = |d: &Dest| Arc::ptr_eq(d.live(), live) && live.is_available();
    dests.iter().position(is_it)
}

fn overloaded(dests: &[Dest], d: &Dest) -> bool {
    d.active() > weight(d) && dests.iter().any(|d| 2 * d.active() < weight(d))
}

fn least_of_set(dests: &[Dest], set: &[Arc<DestLive>]) -> Option<usize> {
    let places = set.iter().filter_map(|live| place(dests, live));
    let members: Vec<usize> = places.collect();
    let list: Vec<Dest> = members.iter().map(|&i| dests[i].clone()).collect();
    least(&list, &overhead).map(|n| members[n])
}

fn busiest_of_set(dests: &[Dest], set: &[Arc<DestLive>]) -> Option<usize> {
    let cost = |live: &DestLive| 256 * live.active() + live.inactive();
    let weight = |live: &Arc<DestLive>| match place(dests, live) {
        Some(i) => weight(&dests[i]),
        None => u64::from(live.weight()),
    };
    let mut most = set.iter().position(|live| weight(live) > 0)?;
    for (i, live) in set.iter().enumerate().skip(most + 1) {
        if weight(live) > 0 && cost(&set[most]) * weight(live) < cost(live) * weight(&set[most]) {
            most = i;
        }
    }
    Some(most)
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
