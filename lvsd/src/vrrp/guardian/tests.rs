//! The two ends of the socket.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use super::body::{Will, listen};
use super::message::LONGEST;
use super::message::tests::word;
use super::*;

fn pair() -> (Socket, Socket) {
    let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours, theirs)
}

fn child(program: &str) -> Child {
    Command::new(program)
        .arg("60")
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

/// The thread, and what it starts: "sleep", whose end of the socket the test has.
struct Stage {
    orders: Errands<Order>,
    thread: Option<JoinHandle<()>>,
    theirs: Arc<Mutex<Vec<Socket>>>,
    begun: Arc<AtomicUsize>,
    children: Arc<Mutex<Vec<u32>>>,
}

impl Stage {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let (orders, queue) = mpsc::channel();
        let orders = Errands::new(orders, Waker::new(poll.registry(), WAKE).unwrap());
        let theirs = Arc::<Mutex<Vec<Socket>>>::default();
        let (begun, children) = (
            Arc::<AtomicUsize>::default(),
            Arc::<Mutex<Vec<u32>>>::default(),
        );
        let (ends, count, ids) = (theirs.clone(), begun.clone(), children.clone());
        let start = move || {
            let (ours, theirs) = pair();
            let child = child("sleep");
            ends.lock().unwrap().push(theirs);
            ids.lock().unwrap().push(child.id());
            count.fetch_add(1, SeqCst);
            Ok((child, ours))
        };
        let keeper = Keeper::new(poll, queue, start, Box::new(|_| {}));
        Self {
            orders,
            thread: Some(thread::spawn(move || keeper.run())),
            theirs,
            begun,
            children,
        }
    }

    /// The guardian's end, once so many have been started.
    fn end(&self, number: usize) -> Socket {
        while self.begun.load(SeqCst) < number {
            thread::yield_now();
        }
        self.theirs.lock().unwrap().pop().unwrap()
    }

    fn kill(&self) {
        for id in self.children.lock().unwrap().drain(..) {
            let killed = Command::new("kill")
                .args(["-s", "KILL", &id.to_string()])
                .status();
            assert!(killed.unwrap().success());
        }
    }

    fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap();
        self.children.lock().unwrap().clear(); // it has waited for them
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill();
    }
}

fn masters(all: impl IntoIterator<Item = u32>) -> Will {
    all.into_iter()
        .map(|id| (id, vec![word(id as u8)]))
        .collect()
}

/// Reads until this is to be sent.
fn await_told(end: &mut Socket, wanted: &Will) {
    let mut will = Will::new();
    let mut packet = vec![0; LONGEST];
    while will != *wanted {
        let length = io::Read::read(end, &mut packet).unwrap();
        let Some(Message::LastWords { router, words }) = Message::from_bytes(&packet[..length])
        else {
            panic!("no last words");
        };
        match words.is_empty() {
            true => will.remove(&router),
            false => will.insert(router, words),
        };
    }
}

#[test]
fn a_guardian_knows_the_latest_of_everybody_however_many_there_are() {
    const MANY: u32 = 5000; // more than a socket holds
    let stage = Stage::new();
    stage.orders.leave(Order::Begin);
    let mut end = stage.end(1);
    for id in 0..MANY {
        let words = vec![word(id as u8), word(99)];
        stage.orders.leave(Order::LastWords(RouterId(id), words));
    }
    for id in 0..MANY {
        let words = match id % 2 {
            0 => vec![word(id as u8)],
            _ => Vec::new(),
        };
        stage.orders.leave(Order::LastWords(RouterId(id), words));
    }
    await_told(&mut end, &masters((0..MANY).step_by(2)));
}

#[test]
fn one_that_has_died_is_replaced_and_told_everything() {
    let stage = Stage::new();
    let tell = |id, words| stage.orders.leave(Order::LastWords(RouterId(id), words));
    tell(1, vec![word(1)]);
    tell(2, vec![word(2)]);
    stage.orders.leave(Order::Begin);
    let mut first = stage.end(1);
    await_told(&mut first, &masters([1, 2]));
    stage.kill();
    drop(first);
    tell(2, Vec::new());
    await_told(&mut stage.end(2), &masters([1]));
}

#[test]
fn an_end_without_farewell_leaves_the_last_words_to_be_said() {
    let (ours, mut theirs) = pair();
    let told = |router: u32, words: &[Word]| {
        let words = words.to_vec();
        let message = Message::LastWords { router, words };
        ours.send(&message.to_bytes()).unwrap();
    };
    told(1, &[word(1)]);
    told(2, &[word(2)]);
    told(3, &[word(3), word(4)]);
    told(1, &[]);
    told(2, &[word(9)]);
    ours.send(b"nonsense").unwrap();
    drop(ours);
    let wanted = [(2, vec![word(9)]), (3, vec![word(3), word(4)])];
    assert_eq!(listen(&mut theirs).unwrap(), Some(Will::from(wanted)));
}

#[test]
fn what_is_no_socket_is_no_end() {
    let null = std::fs::File::open("/dev/null").unwrap();
    assert!(listen(&mut Socket::from(OwnedFd::from(null))).is_err());
}

#[test]
fn who_is_dismissed_does_nothing() {
    let mut stage = Stage::new();
    stage.orders.leave(Order::Begin);
    stage
        .orders
        .leave(Order::LastWords(RouterId(1), vec![word(1)]));
    let mut end = stage.end(1);
    let heard = thread::spawn(move || listen(&mut end).unwrap());
    stage.orders.leave(Order::Dismiss);
    // One that goes on all the same is killed.
    stage.join();
    assert_eq!(heard.join().unwrap(), None);
}

#[test]
fn without_anything_to_guard_there_is_nobody() {
    let mut stage = Stage::new();
    stage
        .orders
        .leave(Order::LastWords(RouterId(1), vec![word(1)]));
    stage.orders.leave(Order::Dismiss);
    stage.join();
    assert_eq!(stage.begun.load(SeqCst), 0);
}
