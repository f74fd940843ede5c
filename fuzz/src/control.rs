//! What a client may say to the control socket.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use lvs_core::{
    Director, Endpoint, Protocol, Segment, ServiceKey, Settings, TcpFlags, Time, Worker,
};
use lvsd::control::desk::{self, Change, Plane, Stop};
use lvsd::control::message::{Reply, Request};
use lvsd::control::server::converse;
use lvsd::control::table::{Counters, Table};
use lvsd::rules::MarkRule;

/// Takes the input for all that a client says. Then takes each line of it for a request of a client of its own, beside a model:
/// after each, services and rules for marks are as before or as all of its commands one by one make them; and whoever only
/// asks changes nothing at all.
pub fn control(input: &[u8]) {
    let mut said = Vec::new();
    converse(input, &mut said, &Bare::new()).expect("memory can be read and written");
    let replies = replies(&said);
    assert!(replies.len() < 2 || matches!(replies[0], Reply::Hello { .. }));

    let (plane, model) = (Bare::new(), Bare::new());
    let mut worker = plane.director.worker().expect("the first worker");
    for (number, line) in (0..).zip(input.split(|b| *b == b'\n').take(50)) {
        let before = plane.table();
        let mut said = Vec::new();
        let conversation = [b"{\"protocol\":1}\n", line, b"\n"].concat();
        converse(&conversation[..], &mut said, &plane).expect("memory can be read and written");
        let replies = self::replies(&said);
        let [Reply::Hello { .. }, answer @ ..] = &replies[..] else {
            panic!("{replies:?}")
        };
        match answer {
            [Reply::Done {} | Reply::Evicted { .. }] => {}
            _ => assert_eq!(plane.table(), before),
        }
        judge(&plane, &model, line, answer);
        assert_eq!(configured(&plane), configured(&model));
        traffic(&mut worker, number);
    }
}

/// What is answered to a line, and does the same to the model.
fn judge(plane: &Bare, model: &Bare, line: &[u8], answer: &[Reply]) {
    match (serde_json::from_slice::<Request>(line), answer) {
        (Err(_), [Reply::Error { message }]) => assert!(!message.contains('\n')),
        (Ok(Request::Apply { commands, rehearse }), [Reply::Done {}]) => {
            one_by_one(model, &commands);
            if rehearse {
                // The model has gone ahead: what was rehearsed can be done.
                let request = Request::Apply {
                    commands,
                    rehearse: false,
                };
                assert!(matches!(ask(plane, request)[..], [Reply::Done {}]));
            }
        }
        (Ok(Request::Apply { commands, .. }), [Reply::Refused { refusals }]) => {
            assert!(!refusals.is_empty());
            for refusal in refusals {
                assert!(refusal.exit != 0 && !refusal.message.is_empty());
                assert!(refusal.command.is_none_or(|place| place < commands.len()));
            }
        }
        (Ok(Request::Table {}), [Reply::Table { table }]) => {
            assert_eq!(table.services.len(), plane.table().services.len());
        }
        (Ok(Request::Connections { filter }), [parts @ .., Reply::End { count }]) => {
            let size = |reply: &Reply| match reply {
                Reply::Connections { connections } if !connections.is_empty() => connections.len(),
                other => panic!("{other:?}"),
            };
            assert_eq!(parts.iter().map(size).sum::<usize>() as u64, *count);
            assert!(filter.limit.is_none_or(|limit| *count <= limit));
            let counted = ask(plane, Request::Count { filter });
            assert_eq!(sum(&counted), *count);
        }
        (Ok(Request::Count { .. }), [Reply::Counts { .. }]) => {}
        (Ok(Request::Explain { packet }), [Reply::Explained { explained }]) => {
            assert_eq!(explained.packet, packet);
            assert_eq!(ask(plane, Request::Explain { packet }), answer);
        }
        (Ok(request @ Request::Evict { .. }), [Reply::Evicted { .. }]) => {
            let again = ask(plane, request);
            assert!(matches!(again[..], [Reply::Evicted { count: 0 }]));
        }
        (Ok(Request::Evict { server, .. }), [Reply::Error { .. }]) => {
            assert!(server.parse::<Endpoint>().is_err());
        }
        other => panic!("{other:?}"),
    }
}

fn sum(counted: &[Reply]) -> u64 {
    match counted {
        [Reply::Counts { counts }] => counts.iter().map(|c| c.count).sum(),
        other => panic!("{other:?}"),
    }
}

fn ask(plane: &Bare, request: Request) -> Vec<Reply> {
    let mut replies = Vec::new();
    desk::answer(plane, request, &mut |reply| {
        replies.push(reply);
        ControlFlow::Continue(())
    });
    replies
}

/// The daemon's lines, each of which a client can read.
fn replies(said: &[u8]) -> Vec<Reply> {
    let Some((b'\n', said)) = said.split_last() else {
        assert!(said.is_empty());
        return Vec::new();
    };
    let lines = said.split(|b| *b == b'\n');
    lines
        .map(|line| serde_json::from_slice(line).expect("a reply"))
        .collect()
}

/// Packets to a service of each kind, if they are there.
fn traffic(worker: &mut Worker, number: u16) {
    let endpoint = |text: &str| -> Endpoint { text.parse().expect("an endpoint") };
    let client = Endpoint::new(endpoint("10.9.1.2:0").ip, 4000 + number);
    let packet = |protocol, virt: &str, mark| Segment {
        flags: TcpFlags::SYN,
        mark,
        ..Segment::new(protocol, client, endpoint(virt))
    };
    let packets = [
        packet(Protocol::TCP, "10.0.0.1:80", 0),
        packet(Protocol::UDP, "10.0.0.1:53", 0),
        packet(Protocol::TCP, "10.0.0.9:9", 7),
    ];
    worker.decide(Time::from_secs(1), &packets, &mut Vec::new());
}

/// A director whose time stands still, and rules for marks that nobody follows.
struct Bare {
    director: Arc<Director>,
    marks: Mutex<Vec<MarkRule>>,
}

impl Bare {
    fn new() -> Self {
        Self {
            director: Director::new(&Settings::default()),
            marks: Mutex::default(),
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::of(&self.director, &self.marks());
        // In no particular order.
        table.services.sort_by_key(|s| ServiceKey::from(s.key));
        table
    }
}

/// What is configured, without what is counted: that a service has been deleted and added again shows in its counts unless it
/// is done at once.
fn configured(plane: &Bare) -> Table {
    let mut table = plane.table();
    (table.connections, table.templates) = (0, 0);
    table.totals = Counters::default();
    for service in &mut table.services {
        service.totals = Counters::default();
        for server in &mut service.servers {
            (server.active, server.inactive, server.persistent) = (0, 0, 0);
            server.overloaded = false;
            server.totals = Counters::default();
        }
    }
    table
}

/// Carries out commands one by one, but for those that only go together.
fn one_by_one(plane: &Bare, commands: &[Vec<String>]) {
    let apply = |commands: &[Vec<String>]| {
        let request = Request::Apply {
            commands: commands.to_vec(),
            rehearse: false,
        };
        ask(plane, request)
    };
    let is_refused = |command: &Vec<String>| {
        let answer = apply(std::slice::from_ref(command));
        matches!(answer[..], [Reply::Refused { .. }])
    };
    if let Some(place) = commands.iter().position(is_refused) {
        let answer = apply(&commands[place..]);
        assert!(
            matches!(answer[..], [Reply::Done {}]),
            "{commands:?} {answer:?}"
        );
    }
}

impl Plane for Bare {
    fn director(&self) -> &Director {
        &self.director
    }

    fn now(&self) -> Time {
        Time::from_secs(1)
    }

    fn marks(&self) -> Vec<MarkRule> {
        self.marks.lock().expect("nobody panics").clone()
    }

    fn change(&self, change: Change<'_>) -> Result<(), Stop> {
        let mut marks = self.marks.lock().expect("nobody panics");
        let mut changed = marks.clone();
        self.director.edit(|draft| change(draft, &mut changed))?;
        *marks = changed;
        Ok(())
    }
}
