mod models;
mod reload;
mod rules;
mod simulation;

use super::*;
use crate::checker::Influence;
use crate::probe::{Passed, Reason};

const UP: Standing = Standing::assumed(true);
const FOUND_UP: Standing = Standing { found: true, ..UP };
const FOUND_DOWN: Standing = Standing {
    up: false,
    ..FOUND_UP
};
const ALPHA: Standing = Standing::assumed(false);

/// The key of the sorry server in these tests.
const SORRY: u32 = 99;

fn quorum(quorum: u32, hysteresis: u32) -> Settings<u32> {
    Settings {
        quorum,
        hysteresis,
        sorry: None,
    }
}

fn with_sorry(settings: Settings<u32>, inhibit: bool) -> Settings<u32> {
    let sorry = Some(Sorry {
        server: SORRY,
        inhibit,
    });
    Settings { sorry, ..settings }
}

/// Servers 0, 1, … of these weights, each with one check.
fn servers(weights: &[u32], check: Standing) -> Vec<(u32, Server)> {
    let server = |&weight| Server::new(weight, vec![check]);
    (0..).zip(weights.iter().map(server)).collect()
}

fn list(pool: &Pool<u32>) -> Vec<(u32, u32)> {
    pool.wanted()
        .map(|wanted| (*wanted.server, wanted.weight))
        .collect()
}

fn turn(pool: &mut Pool<u32>, server: u32, up: bool) -> Vec<Event<u32>> {
    match up {
        true => pool.found(&server, 0, FOUND_UP, &Ok(Passed::Plainly)),
        false => pool.found(&server, 0, FOUND_DOWN, &Err(Reason::Refused.into())),
    }
}

/// Events in short: `+1` up, `-1` down, `1:5>8` weight, `Q` and `q` with L quorum gained and lost, `S` and `s` sorry server on and off.
fn short(events: &[Event<u32>]) -> String {
    let words: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::ServerUp { server, .. } => format!("+{server}"),
            Event::ServerDown { server, .. } => format!("-{server}"),
            Event::WeightChanged {
                server, from, to, ..
            } => format!("{server}:{from}>{to}"),
            Event::QuorumGained { tally, .. } => format!("Q{}", tally.live),
            Event::QuorumLost { tally, .. } => format!("q{}", tally.live),
            Event::SorryOn { .. } => "S".to_owned(),
            Event::SorryOff { .. } => "s".to_owned(),
        })
        .collect();
    words.join(" ")
}
