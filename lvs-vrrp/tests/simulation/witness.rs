//! Who sees everything, and says when something happens that must not.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use lvs_vrrp::event::{Output, RouterId, State, Why};

use crate::plan::Plan;

type Cut = HashSet<(usize, usize)>;

/// What is known of each virtual router on each host, and of each pair of hosts.
pub(crate) struct Witness {
    plan: Plan,
    /// By host and router.
    views: Vec<Vec<View>>,
    /// Since when a host runs without having been kept from it.
    running: Vec<Option<Duration>>,
    /// Since when a pair of hosts hears each other, the lower first.
    linked: HashMap<(usize, usize), Duration>,
    /// What was lost of a host's to another in a row, by router.
    lost: HashMap<(usize, usize, usize), u32>,
    /// Two masters that could hear each other, the lower host first.
    meetings: HashMap<(usize, usize, usize), Meeting>,
    /// For each router, when how many hosts began to be master.
    timelines: Vec<Vec<(Duration, usize)>>,
    /// How often somebody took over from a master that was there.
    pub(crate) mistaken: u32,
    pub(crate) log: Vec<String>,
}

#[derive(Clone, Debug)]
struct View {
    state: State,
    since: Duration,
    priority: u8,
    address: IpAddr,
}

#[derive(Clone, Debug)]
struct Meeting {
    since: Duration,
    /// What was lost since, of the lower host's and of the higher's.
    lost: [u32; 2],
}

impl Witness {
    pub(crate) fn new(plan: &Plan) -> Self {
        let hosts = 0..plan.hosts.len();
        let view = |host: usize| View {
            state: State::Init,
            since: Duration::ZERO,
            priority: plan.hosts[host].priority,
            address: plan.address(host),
        };
        Self {
            views: hosts
                .clone()
                .map(|host| vec![view(host); plan.routers])
                .collect(),
            running: vec![None; plan.hosts.len()],
            linked: HashMap::new(),
            lost: HashMap::new(),
            meetings: HashMap::new(),
            timelines: vec![vec![(Duration::ZERO, 0)]; plan.routers],
            mistaken: 0,
            log: Vec::new(),
            plan: plan.clone(),
        }
    }

    pub(crate) fn note(&mut self, now: Duration, what: fmt::Arguments<'_>) {
        self.log.push(format!("{:10.4} {what}", now.as_secs_f64()));
    }

    /// Who is master of the first virtual router.
    pub(crate) fn masters(&self) -> Vec<usize> {
        (0..self.views.len())
            .filter(|host| self.leads(*host, 0))
            .collect()
    }

    pub(crate) fn priority(&self, host: usize) -> u8 {
        self.views[host][0].priority
    }

    /// In a span of time, the fewest masters of any router, and the longest that one had more than one.
    pub(crate) fn masters_between(&self, from: Duration, to: Duration) -> (usize, Duration) {
        let mut fewest = usize::MAX;
        let mut longest = Duration::ZERO;
        for timeline in &self.timelines {
            let mut many_since = None;
            for (place, &(at, count)) in timeline.iter().enumerate() {
                let next = timeline.get(place + 1).map_or(Duration::MAX, |next| next.0);
                let (start, end) = (at.max(from), next.min(to));
                if start >= end {
                    continue;
                }
                fewest = fewest.min(count);
                match count {
                    2.. => longest = longest.max(end - *many_since.get_or_insert(start)),
                    _ => many_since = None,
                }
            }
        }
        (fewest, longest)
    }

    pub(crate) fn up(&mut self, host: usize, now: Duration, cut: &Cut) {
        self.set_running(host, true, now, cut);
    }

    /// A host is not there any more.
    pub(crate) fn down(&mut self, host: usize, now: Duration) {
        self.running[host] = None;
        for router in 0..self.plan.routers {
            self.end_meetings(host, router, now);
            self.views[host][router].state = State::Init;
            self.views[host][router].since = now;
            self.views[host][router].priority = self.plan.hosts[host].priority;
            self.count_masters(router, now);
        }
    }

    pub(crate) fn set_running(&mut self, host: usize, runs: bool, now: Duration, cut: &Cut) {
        self.running[host] = runs.then_some(now);
        for router in 0..self.plan.routers {
            self.end_meetings(host, router, now);
            self.begin_meetings(host, router, now, cut);
        }
    }

    pub(crate) fn divided(&mut self, cut: &Cut, now: Duration) {
        for a in 0..self.views.len() {
            for b in a + 1..self.views.len() {
                match cut.contains(&(a, b)) {
                    true => self.linked.remove(&(a, b)),
                    false => Some(*self.linked.entry((a, b)).or_insert(now)),
                };
            }
            for router in 0..self.plan.routers {
                self.end_meetings(a, router, now);
                self.begin_meetings(a, router, now, cut);
            }
        }
    }

    /// A host says what has happened to it.
    pub(crate) fn told(
        &mut self,
        host: usize,
        ids: &HashMap<u8, RouterId>,
        output: &Output,
        now: Duration,
        cut: &Cut,
    ) {
        let place = |id: &RouterId| {
            let vrid = ids
                .iter()
                .find(|(_, known)| *known == id)
                .map(|(vrid, _)| *vrid);
            usize::from(vrid.expect("a known router")) - 1
        };
        match output {
            Output::Entered {
                router,
                from,
                to,
                why,
                priority,
            } => {
                let router = place(router);
                self.note(
                    now,
                    format_args!("host {host}, router {}: {from} → {to}: {why}", router + 1),
                );
                assert_eq!(self.views[host][router].state, *from, "host {host}");
                assert_ne!(from, to);
                if let Why::Silence { master, waited, .. } = why {
                    self.check_silence(host, router, *master, *waited, now);
                }
                self.end_meetings(host, router, now);
                let view = &mut self.views[host][router];
                (view.state, view.since, view.priority) = (*to, now, *priority);
                self.begin_meetings(host, router, now, cut);
                self.count_masters(router, now);
            }
            Output::Priority {
                router, from, to, ..
            } => {
                let router = place(router);
                self.note(now, format_args!("host {host}: priority {to}, not {from}"));
                self.end_meetings(host, router, now);
                self.views[host][router].priority = *to;
                self.begin_meetings(host, router, now, cut);
            }
            _ => {}
        }
    }

    /// Members of a group are master together.
    pub(crate) fn check_group(&self, host: usize) {
        let leads = (0..self.plan.routers).filter(|router| self.leads(host, *router));
        let count = leads.count();
        assert!(
            count == 0 || count == self.plan.routers,
            "half of a group is master on host {host}"
        );
    }

    pub(crate) fn lost_in_a_row(&self, from: usize, to: usize, vrid: u8) -> u32 {
        let key = (from, to, usize::from(vrid) - 1);
        self.lost.get(&key).copied().unwrap_or(0)
    }

    pub(crate) fn lost(&mut self, from: usize, to: usize, vrid: u8) {
        let router = usize::from(vrid) - 1;
        *self.lost.entry((from, to, router)).or_insert(0) += 1;
        let key = (from.min(to), from.max(to), router);
        if let Some(meeting) = self.meetings.get_mut(&key) {
            meeting.lost[usize::from(from > to)] += 1;
        }
    }

    pub(crate) fn delivered(&mut self, from: usize, to: usize, vrid: u8) {
        self.lost.insert((from, to, usize::from(vrid) - 1), 0);
    }

    /// Nobody who has heard of a better one goes on as master.
    pub(crate) fn heard(&self, from: usize, to: usize, vrid: u8, priority: u8) {
        let router = usize::from(vrid) - 1;
        let view = &self.views[to][router];
        let other = (priority, self.views[from][router].address);
        assert!(
            view.state != State::Master || other < (view.priority, view.address),
            "host {to} is master though it hears {from} with priority {priority}"
        );
    }

    /// All meetings end here, to be judged.
    pub(crate) fn close(&mut self, now: Duration) {
        for host in 0..self.views.len() {
            for router in 0..self.plan.routers {
                self.end_meetings(host, router, now);
            }
        }
    }

    fn leading(&self, router: usize) -> Vec<usize> {
        let hosts = 0..self.views.len();
        hosts.filter(|host| self.leads(*host, router)).collect()
    }

    fn leads(&self, host: usize, router: usize) -> bool {
        self.views[host][router].state == State::Master
    }

    fn count_masters(&mut self, router: usize, now: Duration) {
        let count = self.leading(router).len();
        let timeline = &mut self.timelines[router];
        if timeline.last().is_none_or(|last| last.1 != count) {
            timeline.push((now, count));
        }
    }

    /// Who takes over from a master that has been there all the time has missed enough of its words.
    fn check_silence(
        &mut self,
        host: usize,
        router: usize,
        master: IpAddr,
        waited: Duration,
        now: Duration,
    ) {
        let Some(other) = self.plan.host_of(master) else {
            return;
        };
        let start = now.saturating_sub(self.plan.stretched(waited));
        let since = |moment: Option<Duration>| moment.is_some_and(|moment| moment <= start);
        let pair = (host.min(other), host.max(other));
        let there = since(self.running[other])
            && since(self.running[host])
            && since(self.linked.get(&pair).copied())
            && self.leads(other, router)
            && self.views[other][router].since <= start;
        if there {
            let lost = self.lost.get(&(other, host, router)).copied().unwrap_or(0);
            assert!(
                lost >= self.plan.missing,
                "host {host} takes over from {other}, of whose words only {lost} were lost"
            );
            self.mistaken += 1;
        }
    }

    fn begin_meetings(&mut self, host: usize, router: usize, now: Duration, cut: &Cut) {
        let mut meets = self.leading(router);
        meets.retain(|host| self.running[*host].is_some());
        if !meets.contains(&host) {
            return;
        }
        for other in meets {
            let pair = (host.min(other), host.max(other));
            if other != host && !cut.contains(&pair) {
                let meeting = Meeting {
                    since: now,
                    lost: [0; 2],
                };
                self.meetings
                    .entry((pair.0, pair.1, router))
                    .or_insert(meeting);
            }
        }
    }

    /// Two masters that hear each other are that only until the first word of the better one arrives.
    fn end_meetings(&mut self, host: usize, router: usize, now: Duration) {
        for other in 0..self.views.len() {
            let pair = (host.min(other), host.max(other));
            let Some(meeting) = self.meetings.remove(&(pair.0, pair.1, router)) else {
                continue;
            };
            let rank = |host: usize| {
                let view = &self.views[host][router];
                (view.priority, view.address)
            };
            let better_is_second = rank(pair.1) > rank(pair.0);
            let lost = meeting.lost[usize::from(better_is_second)];
            let longest = self.plan.longest_interval() * (lost + 1) + self.plan.delay();
            let lasted = now - meeting.since;
            assert!(
                lasted <= longest,
                "hosts {pair:?} are both master for {lasted:?}, though only {lost} words were lost"
            );
        }
    }
}
