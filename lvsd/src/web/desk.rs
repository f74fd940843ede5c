//! Which path is answered how.
//!
//! Problem: to tell of twenty thousand servers takes a part of a second and tens of megabytes, and anybody may ask at any time.
//!
//! Rule: such an answer serves again for ten times as long as it took to make. So telling takes a tenth of a processor at most, the
//! thread that runs checks is asked no more often than it can bear, and those who ask at the same time share the memory.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::answer::{Answer, Status};
use super::load::Load;
use super::metrics::{self, Scene};
use super::openmetrics;
use super::request::Request;
use crate::control::desk::Plane;
use crate::health::Keeper;
use crate::health::snapshot::Snapshot;

/// How long a thread that comes round every second may stay away before something is wrong.
const SILENCE: Duration = Duration::from_secs(5);

/// The longest that an answer serves again.
const LONGEST: Duration = Duration::from_secs(3);

/// The most names in an answer.
const NAMED: usize = 10;

const INDEX: &str = "\
lvsd

/metrics      counters and states, as OpenMetrics
/status.json  services, servers, checks and virtual routers
/healthz      200 while all threads go round
/readyz       200 once every check has found something
";

/// Answers requests.
pub(super) struct Desk {
    plane: Arc<dyn Plane>,
    load: Box<dyn Fn() -> Load + Send>,
    /// Answers that may serve again, and until when.
    kept: HashMap<String, (Answer, Instant)>,
    /// For how many times as long as it took to make.
    pub(super) reuse: u32,
    started: SystemTime,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) fn new(plane: Arc<dyn Plane>, load: Box<dyn Fn() -> Load + Send>) -> Self {
        Self {
            plane,
            load,
            kept: HashMap::new(),
            reuse: 10,
            started: SystemTime::now(),
        }
    }

    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        if request.path == "/" {
            return Answer::text(Status::Fine, INDEX);
        }
        let Some(keeper) = self.plane.keeper() else {
            return unavailable("lvsd is stopping\n");
        };
        match &*request.path {
            "/healthz" => self.health(&keeper),
            "/metrics" => self.again(request, |desk| desk.metrics(&keeper)),
            "/status.json" => self.again(request, |_| status(&keeper)),
            "/readyz" => self.again(request, |_| readiness(&keeper)),
            _ => Answer::refused(Status::NotFound),
        }
    }

    /// The answer that was made last if it may serve again, or else one that is made now.
    fn again(
        &mut self,
        request: &Request,
        make: impl FnOnce(&Self) -> Result<Answer, String>,
    ) -> Answer {
        let begin = Instant::now();
        self.kept.retain(|_, (_, until)| *until > begin);
        if let Some((answer, _)) = self.kept.get(&request.path) {
            return answer.clone();
        }
        let answer = make(self).unwrap_or_else(|why| unavailable(&format!("{why}\n")));
        let now = Instant::now();
        let until = now + LONGEST.min((now - begin) * self.reuse);
        self.kept
            .insert(request.path.clone(), (answer.clone(), until));
        answer
    }

    fn metrics(&self, keeper: &Keeper) -> Result<Answer, String> {
        let snapshot = keeper.health().snapshot().map_err(|e| e.to_string())?;
        let scene = Scene {
            director: self.plane.director(),
            snapshot: &snapshot,
            vrrp: &keeper.vrrp().status().map_err(|e| e.to_string())?,
            configuration: &keeper.configuration(),
            load: &(self.load)(),
            started: self.started,
        };
        Ok(Answer::fine(openmetrics::MEDIA, metrics::text(&scene)))
    }

    /// Nobody is asked here, since somebody who stands still would not answer.
    fn health(&self, keeper: &Keeper) -> Answer {
        let mut threads = (self.load)().threads;
        threads.push(("health checks".to_owned(), keeper.health().silence()));
        threads.push(("VRRP".to_owned(), keeper.vrrp().silence()));
        threads.retain(|(_, silence)| *silence > SILENCE);
        if threads.is_empty() {
            return Answer::text(Status::Fine, "ok\n");
        }
        let mut text = String::new();
        for (name, silence) in threads {
            let seconds = silence.as_secs();
            let _ = writeln!(text, "{name}: no sign of life for {seconds} s"); // writing to a string cannot fail
        }
        unavailable(&text)
    }
}

fn status(keeper: &Keeper) -> Result<Answer, String> {
    let status = keeper.status().map_err(|e| e.to_string())?;
    let json = serde_json::to_vec(&status).map_err(|e| e.to_string())?;
    Ok(Answer::fine("application/json", json))
}

fn readiness(keeper: &Keeper) -> Result<Answer, String> {
    let snapshot = keeper.health().snapshot().map_err(|e| e.to_string())?;
    let (count, mut text) = unfound(&snapshot);
    if count == 0 {
        return Ok(Answer::text(Status::Fine, "ok\n"));
    }
    if count > NAMED {
        let _ = writeln!(text, "and {} more", count - NAMED); // writing to a string cannot fail
    }
    Ok(unavailable(&text))
}

/// How many checks that do not rest have found nothing yet, and the first of them.
fn unfound(snapshot: &Snapshot) -> (usize, String) {
    let (mut count, mut text) = (0, String::new());
    for service in snapshot.services.iter().filter(|s| !s.suspended) {
        let servers = service.config.servers.iter();
        let checks = servers.flat_map(|server| server.checks.iter().map(move |c| (server, c)));
        for ((server, config), check) in checks.zip(&service.checks) {
            if check.found {
                continue;
            }
            count += 1;
            if count <= NAMED {
                let service = metrics::name(&service.config);
                let (keyword, addr) = (config.keyword, server.addr);
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "{keyword} of {addr} for {service} has found nothing yet"
                );
            }
        }
    }
    (count, text)
}

fn unavailable(text: &str) -> Answer {
    Answer::text(Status::Unavailable, text)
}
