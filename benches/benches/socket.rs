//! The control socket's work in the daemon: what it takes to read a request, to do it and to word the answer. The guard's share,
//! which only a running daemon has, is not in it.

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use benches::bed::{self, NOW};
use criterion::{Criterion, criterion_group, criterion_main};
use lvs_core::{Director, Method, Settings, Time};
use lvsd::control::desk::{Change, Plane, Stop};
use lvsd::control::server::converse;
use lvsd::rules::MarkRule;

const SERVICES: usize = 1000;
const SERVERS: usize = 4;
const CONNECTIONS: usize = 1_000_000;

/// A director and nothing else.
struct Bare(Arc<Director>);

impl Plane for Bare {
    fn director(&self) -> &Director {
        &self.0
    }

    fn now(&self) -> Time {
        NOW
    }

    fn marks(&self) -> Vec<MarkRule> {
        Vec::new()
    }

    fn change(&self, change: Change<'_>) -> Result<(), Stop> {
        self.0.edit(|draft| change(draft, &mut Vec::new()))
    }
}

/// Says this to the daemon; returns its answers.
fn ask(plane: &Bare, request: &str) -> Vec<u8> {
    let said = format!("{{\"protocol\":1}}\n{request}\n");
    let mut answers = Vec::new();
    converse(said.as_bytes(), &mut answers, plane).expect("nothing to fail");
    answers
}

/// What `ipvsadm-restore` sends.
fn restore() -> String {
    let mut commands = vec!["[\"-C\"]".to_owned()];
    for i in 0..SERVICES {
        let vip = format!("10.{}.{}.1:80", i / 250, i % 250);
        commands.push(format!("[\"-A\",\"-t\",\"{vip}\",\"-s\",\"wlc\"]"));
        let server = |s| {
            format!(
                "[\"-a\",\"-t\",\"{vip}\",\"-r\",\"10.99.{}.{s}:8080\",\"-m\",\"-w\",\"1\"]",
                i % 250
            )
        };
        commands.extend((1..=SERVERS).map(server));
    }
    format!(
        "{{\"request\":\"apply\",\"commands\":[{}]}}",
        commands.join(",")
    )
}

fn tables(c: &mut Criterion) {
    let plane = Bare(Director::new(&Settings::default()));
    let request = restore();
    let mut group = c.benchmark_group("1000 services of 4 servers, the daemon's time");
    group.bench_function("-R of all, budget 50 ms", |b| {
        b.iter(|| {
            let answers = ask(&plane, &request);
            assert!(answers.ends_with(b"{\"reply\":\"done\"}\n"));
        });
    });
    group.bench_function("-Sn, or any listing of services, budget 50 ms", |b| {
        b.iter(|| {
            let answers = ask(&plane, "{\"request\":\"table\"}");
            assert!(answers.len() > SERVICES * SERVERS * 100);
        });
    });
}

/// Takes the first line about connections, and no more.
struct First {
    begin: Instant,
    took: Option<f64>,
}

impl Write for First {
    fn write(&mut self, answer: &[u8]) -> io::Result<usize> {
        if answer.starts_with(b"{\"reply\":\"connections\"") {
            self.took = Some(self.begin.elapsed().as_secs_f64() * 1000.0);
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        black_box(answer);
        Ok(answer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn connections(_: &mut Criterion) {
    let director = bed::director(Method::Nat, 10);
    let mut worker = director.worker().expect("the first worker");
    bed::establish(&mut worker, 0..CONNECTIONS);
    let plane = Bare(director);
    let said = b"{\"protocol\":1}\n{\"request\":\"connections\"}\n";
    let mut slowest: f64 = 0.0;
    for _ in 0..100 {
        let mut first = First {
            begin: Instant::now(),
            took: None,
        };
        // It ends when the first line has been taken.
        let _ = converse(&said[..], &mut first, &plane);
        slowest = slowest.max(first.took.expect("there are connections"));
    }
    println!(
        "-Lnc of a million connections: the first line after {slowest:.2} ms at most, budget 100 ms"
    );
    let begin = Instant::now();
    let mut answers = io::sink();
    converse(&said[..], &mut answers, &plane).expect("nothing to fail");
    println!(
        "  all of them after {:.0} ms",
        begin.elapsed().as_secs_f64() * 1000.0
    );
}

criterion_group!(benches, tables, connections);
criterion_main!(benches);
