//! The trial of one forwarding method.
//!
//! 1. *Steady*: requests on new connections, IPv4 and IPv6 in turn. Shows the spread over the servers and
//!    the latency.
//! 2. *Bulk*: downloads.
//! 3. *Death*: requests go on while one server loses its program and its cables; a little later it is
//!    taken out of the rule file. In between some requests fail, as nothing watches the servers here;
//!    before and afterwards none may.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use lvs_core::dest::Method;

use super::http::Server;
use super::lan::{Lan, SERVERS};
use super::load::{self, Load, Sample};
use super::plan::{self, MAPPED_PORT, METHODS, PORT, VICTIM, WEIGHTS};
use super::report::Progress;

/// Clients asking at once.
const CLIENTS: usize = 16;
const STEADY: Duration = Duration::from_millis(1200);
const BULK: Duration = Duration::from_millis(800);
const BEFORE_DEATH: Duration = Duration::from_millis(500);
const DEAD_IN_RULES: Duration = Duration::from_millis(700);
/// Longer than a request's patience, so that clients stuck with the dead server get to ask again.
const AFTER_CHANGE: Duration = Duration::from_millis(1600);
/// How long the servers may take until all of them answer.
const READY: Duration = Duration::from_secs(5);
/// By how much of all requests a server's share may differ from its weight's.
const TOLERANCE: f64 = 0.02;
/// Fewer requests than this would prove nothing.
const ENOUGH: usize = 200;

/// What a trial has shown.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The forwarding method.
    pub method: Method,
    /// Requests served in the steady part.
    pub served: usize,
    /// The same, a second.
    pub rate: f64,
    /// How many of them by each server.
    pub by_server: [usize; SERVERS],
    /// Median latency.
    pub p50: Duration,
    /// The latency that 99 % of the requests keep below.
    pub p99: Duration,
    /// Payload of the downloads, bits a second.
    pub bulk: f64,
    /// Requests that failed, and all, begun between the server's death and the change of the rules.
    pub dying: (usize, usize),
    /// The same, after the change.
    pub after: (usize, usize),
    /// What was not as it should be.
    pub problems: Vec<String>,
}

impl Outcome {
    /// That of a trial which is not worth going on with.
    fn hopeless(method: Method, problem: String) -> Self {
        Self {
            method,
            served: 0,
            rate: 0.0,
            by_server: [0; SERVERS],
            p50: Duration::ZERO,
            p99: Duration::ZERO,
            bulk: 0.0,
            dying: (0, 0),
            after: (0, 0),
            problems: vec![problem],
        }
    }
}

/// Everything a trial works on.
#[derive(Debug)]
pub struct Trial<'a> {
    /// The network.
    pub lan: &'a Lan,
    /// The web servers, in the LAN's order; `None` while one is dead.
    pub servers: &'a mut [Option<[Server; 2]>],
    /// Set when the user wants to stop; the trial then ends soon with an error of kind `Interrupted`.
    pub cancel: &'a AtomicBool,
    /// Where to say how far it is.
    pub progress: &'a Progress,
}

impl Trial<'_> {
    /// Tries one method. `publish` makes the director follow another rule file.
    ///
    /// # Errors
    ///
    /// If the network or the director cannot be handled; requests that fail are no error but part of the
    /// outcome.
    pub fn run(
        &mut self,
        method: Method,
        publish: &dyn Fn(&str) -> io::Result<()>,
    ) -> io::Result<Outcome> {
        let through = method == Method::Nat;
        if through {
            self.lan.reply_through_director(true)?;
        }
        let outcome = self.run_routed(method, publish);
        if through {
            self.lan.reply_through_director(false)?;
        }
        outcome
    }

    fn run_routed(
        &mut self,
        method: Method,
        publish: &dyn Fn(&str) -> io::Result<()>,
    ) -> io::Result<Outcome> {
        if let Some(problem) = self.await_servers(method)? {
            return Ok(Outcome::hopeless(method, problem));
        }
        let mut problems = Vec::new();

        let load = self.load(method)?;
        self.wait(method, "requests", STEADY, Some(&load))?;
        let steady = load.finish();

        self.wait(method, "bulk", Duration::ZERO, None)?;
        let bulk = match self.download(method) {
            Ok(bulk) => bulk,
            Err(e) => {
                problems.push(format!("the download failed: {e}"));
                0.0
            }
        };

        let load = self.load(method)?;
        self.wait(method, "requests", BEFORE_DEATH, Some(&load))?;
        let died = Instant::now();
        self.kill()?;
        self.wait(method, "rs3 is dead", DEAD_IN_RULES, Some(&load))?;
        publish(&plan::rules(Some(method)))?;
        let changed = Instant::now();
        self.wait(method, "rs3 is out", AFTER_CHANGE, Some(&load))?;
        let death = load.finish();
        self.revive()?;
        publish(&plan::rules(None))?;

        Ok(judge(
            method, &steady, bulk, &death, died, changed, problems,
        ))
    }

    /// Asks until every server has answered over every family. What is missing in the end is a problem.
    fn await_servers(&self, method: Method) -> io::Result<Option<String>> {
        self.wait(method, "getting ready", Duration::ZERO, None)?;
        let deadline = Instant::now() + READY;
        for target in plan::targets(method) {
            let mut seen = Vec::new();
            let mut last = String::from("no server answered");
            while seen.len() < SERVERS {
                self.check_cancelled()?;
                match self.lan.client.run(move || load::ask(target)) {
                    Ok(name) if !seen.contains(&name) => seen.push(name),
                    Ok(_) => {}
                    Err(e) => last = e.to_string(),
                }
                if Instant::now() > deadline {
                    seen.sort();
                    let problem = format!("{target}: only {seen:?} answered in time; {last}");
                    return Ok(Some(problem));
                }
            }
        }
        Ok(None)
    }

    fn load(&self, method: Method) -> io::Result<Load> {
        let client = &self.lan.client;
        client.run(move || Load::start(&plan::targets(method), CLIENTS))
    }

    fn download(&self, method: Method) -> io::Result<f64> {
        let (bytes, took) = self
            .lan
            .client
            .run(move || load::download(&plan::targets(method), BULK, &AtomicBool::new(false)))?;
        Ok(bytes as f64 * 8.0 / took.as_secs_f64())
    }

    fn kill(&mut self) -> io::Result<()> {
        self.lan.plug(VICTIM, false)?;
        if let Some(server) = self.servers.get_mut(VICTIM) {
            *server = None;
        }
        Ok(())
    }

    fn revive(&mut self) -> io::Result<()> {
        self.lan.plug(VICTIM, true)?;
        if let Some(server) = self.servers.get_mut(VICTIM) {
            *server = Some(start_server(self.lan, VICTIM)?);
        }
        Ok(())
    }

    /// Lets time pass, saying what goes on, as long as the user wants to go on.
    fn wait(
        &self,
        method: Method,
        what: &str,
        time: Duration,
        load: Option<&Load>,
    ) -> io::Result<()> {
        let end = Instant::now() + time;
        loop {
            self.check_cancelled()?;
            let done = load.map_or_else(String::new, |l| format!(", {} so far", l.done()));
            let number = METHODS.iter().position(|m| *m == method).unwrap_or(0) + 1;
            let all = METHODS.len();
            let name = plan::name(method);
            self.progress
                .now(&format!("[{number}/{all}] {name}: {what}{done}"));
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(100)));
        }
    }

    fn check_cancelled(&self) -> io::Result<()> {
        match self.cancel.load(Relaxed) {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => Ok(()),
        }
    }
}

/// Starts the web servers of one host.
pub fn start_server(lan: &Lan, index: usize) -> io::Result<[Server; 2]> {
    let host = lan
        .servers
        .get(index)
        .ok_or_else(|| io::Error::other(format!("there is no server {index}")))?;
    let name = host.name().to_owned();
    host.run(move || {
        Ok([
            Server::start(&name, PORT)?,
            Server::start(&name, MAPPED_PORT)?,
        ])
    })
}

fn judge(
    method: Method,
    steady: &[Sample],
    bulk: f64,
    death: &[Sample],
    died: Instant,
    changed: Instant,
    mut problems: Vec<String>,
) -> Outcome {
    let mut complain = |what: &str, samples: &[&Sample]| {
        let failed = samples.iter().filter(|s| s.outcome.is_err()).count();
        let first = samples.iter().find_map(|s| s.outcome.as_ref().err());
        if let Some(first) = first {
            let all = samples.len();
            problems.push(format!("{failed} of {all} requests {what} failed: {first}"));
        }
    };
    let all: Vec<&Sample> = steady.iter().collect();
    complain("with all servers alive", &all);
    let before: Vec<_> = death.iter().filter(|s| s.begun + s.took < died).collect();
    complain("before the server died", &before);
    let after: Vec<_> = death.iter().filter(|s| s.begun >= changed).collect();
    complain("after the change of rules", &after);
    let dying: Vec<_> = death
        .iter()
        .filter(|s| s.begun + s.took >= died && s.begun < changed)
        .collect();
    let count = |samples: &[&Sample]| {
        let failed = samples.iter().filter(|s| s.outcome.is_err()).count();
        (failed, samples.len())
    };

    let mut latencies: Vec<_> = steady
        .iter()
        .filter(|s| s.outcome.is_ok())
        .map(|s| s.took)
        .collect();
    latencies.sort_unstable();
    let served = latencies.len();
    let by_server = std::array::from_fn(|i| count_served(steady.iter(), i));
    if served < ENOUGH {
        problems.push(format!(
            "only {served} requests were served; {ENOUGH} are expected"
        ));
    }
    let weights: u32 = WEIGHTS.iter().sum();
    for (i, (got, weight)) in by_server.iter().zip(WEIGHTS).enumerate() {
        let got = *got as f64 / served.max(1) as f64;
        let want = f64::from(weight) / f64::from(weights);
        if (got - want).abs() > TOLERANCE {
            problems.push(format!(
                "rs{} served {:.1} % of the requests; its weight asks for {:.1} %",
                i + 1,
                got * 100.0,
                want * 100.0
            ));
        }
    }
    let revenants = count_served(after.iter().copied(), VICTIM);
    if revenants > 0 {
        problems.push(format!("the dead server answered {revenants} requests"));
    }
    if after.len() < ENOUGH {
        problems.push(format!(
            "only {} requests were made after the change of rules",
            after.len()
        ));
    }
    Outcome {
        method,
        served,
        rate: served as f64 / STEADY.as_secs_f64(),
        by_server,
        p50: percentile(&latencies, 50),
        p99: percentile(&latencies, 99),
        bulk,
        dying: count(&dying),
        after: count(&after),
        problems,
    }
}

fn count_served<'a>(samples: impl Iterator<Item = &'a Sample>, index: usize) -> usize {
    let name = format!("rs{}", index + 1);
    samples.filter(|s| s.outcome.as_ref() == Ok(&name)).count()
}

/// The value that `percent` % of the sorted values do not exceed (nearest rank); zero of none.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn percentiles_are_of_nearest_rank() {
        let sorted: Vec<_> = (1..=200).map(|n| MS * n).collect();
        assert_eq!(percentile(&sorted, 50), MS * 100);
        assert_eq!(percentile(&sorted, 99), MS * 198);
        assert_eq!(percentile(&sorted[..1], 50), MS);
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    /// 600 requests, one a millisecond from `begun` on, spread as the weights ask.
    fn samples(begun: Instant, spread: [usize; 3]) -> Vec<Sample> {
        let names = ["rs1", "rs2", "rs3"].into_iter().zip(spread);
        let names = names.flat_map(|(name, n)| std::iter::repeat_n(name, n));
        let names: Vec<_> = names.cycle().take(600).collect();
        let sample = |(i, name): (u32, &str)| Sample {
            begun: begun + MS * i,
            took: MS,
            outcome: Ok(name.into()),
        };
        (0..).zip(names).map(sample).collect()
    }

    fn judged(steady: &[Sample], death: &[Sample], begun: Instant) -> Outcome {
        let (died, changed) = (begun + MS * 100, begun + MS * 200);
        judge(Method::Nat, steady, 1e9, death, died, changed, Vec::new())
    }

    #[test]
    fn a_good_trial_has_no_problems() {
        let begun = Instant::now();
        let mut death = samples(begun, [3, 2, 0]);
        death[150].outcome = Err("timed out".into());
        let outcome = judged(&samples(begun, WEIGHTS.map(|w| w as usize)), &death, begun);
        assert_eq!(outcome.problems, [""; 0]);
        assert_eq!(outcome.by_server, [300, 200, 100]);
        assert_eq!((outcome.dying, outcome.after), ((1, 101), (0, 400)));
    }

    #[test]
    fn everything_that_may_go_wrong_is_told() {
        let begun = Instant::now();
        let good = || samples(begun, [3, 2, 1]);
        let death = || samples(begun, [3, 2, 0]);
        let fail = |mut samples: Vec<Sample>, i: usize| {
            samples[i].outcome = Err("timed out".into());
            samples
        };
        let cases = [
            (
                fail(good(), 7),
                death(),
                "with all servers alive failed: timed out",
            ),
            (good(), fail(death(), 50), "before the server died failed"),
            (
                good(),
                fail(death(), 200),
                "after the change of rules failed",
            ),
            (good(), good(), "the dead server answered"),
            (samples(begun, [1, 1, 1]), death(), "rs3 served 33.3 %"),
            (Vec::new(), death(), "only 0 requests were served"),
            (good(), Vec::new(), "only 0 requests were made after"),
        ];
        for (steady, death, want) in cases {
            let outcome = judged(&steady, &death, begun);
            let told = outcome.problems.iter().any(|p| p.contains(want));
            assert!(told, "{want}: {:?}", outcome.problems);
        }
    }
}
