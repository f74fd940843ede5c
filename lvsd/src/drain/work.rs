//! The daemon asked, time passing: carries out what the [`Course`] says.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::course::{Course, End, Step};
use super::options::Options;
use super::report;
use super::screen::Screen;
use crate::control::client::{Client, ClientError};
use crate::control::conns::{Count, Filter};
use crate::control::message::Refusal;
use crate::control::socket_path;

/// How often the table is read, at most and at least; in between, such that the daemon is busy with us for a twentieth
/// of the time.
const OFTEN: Duration = Duration::from_millis(250);
const SELDOM: Duration = Duration::from_secs(5);

/// Drains a server; returns the exit status. `args` are what was typed, to be typed again.
pub(super) fn work(
    options: &Options,
    args: &[String],
    interrupts: &Receiver<i32>,
    screen: &mut Screen,
) -> u8 {
    let began = Instant::now();
    let mut course = Course::new(options.clone());
    let verdict = match drain(options, &mut course, began, interrupts, screen) {
        Ok(Halt::End(end)) => report::verdict(options, &course, &end, began.elapsed()),
        Ok(Halt::Signal(signal)) => report::stopped(options, &course, signal, args),
        Err(trouble) => report::failed(options, &course, &trouble),
    };
    screen.end(&verdict, &course, began.elapsed());
    verdict.exit
}

enum Halt {
    End(End),
    Signal(i32),
}

fn drain(
    options: &Options,
    course: &mut Course,
    began: Instant,
    interrupts: &Receiver<i32>,
    screen: &mut Screen,
) -> Result<Halt, String> {
    let say = |e: ClientError| e.to_string();
    let mut client = Client::connect(&socket_path(options.socket.as_deref())).map_err(say)?;
    let mut refused = None;
    loop {
        let asked = Instant::now();
        let table = client.table().map_err(say)?;
        let took = asked.elapsed();
        let step = course.look(began.elapsed(), &table);
        course.notes().iter().for_each(|note| screen.note(note));
        match (step, refused.take()) {
            // Perhaps it was because somebody else has been quicker.
            (Step::End(end @ End::Gone(_)), _) | (Step::End(end), None) => {
                return Ok(Halt::End(end));
            }
            (_, Some(message)) => return Err(message),
            (Step::Apply(words), None) => {
                if let Err(refusals) = client.apply(vec![words], false).map_err(say)? {
                    course.refused();
                    refused = Some(reason(&refusals));
                }
            }
            (Step::Move { udp, templates }, None) => {
                let moved = client.evict(options.service, options.server, templates, udp);
                let count = moved.map_err(say)?.map_err(|refusals| reason(&refusals))?;
                course.moved(began.elapsed(), count);
                screen.moved(count);
            }
            (Step::Count, None) => {
                let asked = Instant::now();
                let closed = count_closed(&mut client, options).map_err(say)?;
                course.counted(began.elapsed(), closed, asked.elapsed());
            }
            (Step::Wait, None) => {
                screen.progress(options, course.left(), began.elapsed());
                let pause = (took * 20).clamp(OFTEN, SELDOM);
                let until = options.deadline.map(|d| d.saturating_sub(began.elapsed()));
                let pause = until.map_or(pause, |until| pause.min(until));
                match interrupts.recv_timeout(pause) {
                    Ok(signal) => return Ok(Halt::Signal(signal)),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => std::thread::sleep(pause),
                }
            }
        }
    }
}

fn reason(refusals: &[Refusal]) -> String {
    let first = refusals.first().map_or("no reason", |r| &r.message);
    format!("the daemon refuses: {first}")
}

/// Of the server's connections, those that both sides have closed.
fn count_closed(client: &mut Client, options: &Options) -> Result<u64, ClientError> {
    let closed = ["TIME_WAIT", "CLOSE", "CLOSED"];
    let filter = Filter {
        service: Some(options.service),
        server: Some(options.server.into()),
        templates: Some(false),
        states: closed.iter().filter_map(|name| name.parse().ok()).collect(),
        ..Filter::default()
    };
    let counts = client.count(filter)?;
    // A filter also means servers that are only used at this port.
    let is_ours = |c: &&Count| c.server == options.server && closed.contains(&&*c.state);
    Ok(counts.iter().filter(is_ours).map(|c| c.count).sum())
}

#[cfg(test)]
mod tests;
