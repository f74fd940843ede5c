//! A UDP server: one thread.

use std::net::{Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Conduct, State, garbage};
use crate::node::within;

/// How often the thread sees whether it shall end.
const STOP_INTERVAL: Duration = Duration::from_millis(20);

/// An open port. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Listening {
    stop: Arc<AtomicBool>,
    answering: Option<JoinHandle<()>>,
}

impl Listening {
    pub(super) fn start(ns: &str, port: u16, state: Arc<State>) -> Self {
        // Takes IPv4 as well.
        let socket = within(ns, || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)));
        let socket = socket.unwrap_or_else(|e| panic!("UDP port {port} in {ns}: {e}"));
        let timeout = socket.set_read_timeout(Some(STOP_INTERVAL));
        timeout.expect("the interval is not zero");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let answering = thread::spawn(move || {
            while !stopped.load(Relaxed) {
                answer_one(&socket, &state);
            }
        });
        Self {
            stop,
            answering: Some(answering),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let _ = self.answering.take().map(JoinHandle::join);
    }
}

fn answer_one(socket: &UdpSocket, state: &State) {
    let mut buffer = [0; 65_535];
    let Ok((length, from)) = socket.recv_from(&mut buffer) else {
        return; // nobody asks, or somebody did not want to hear the last answer
    };
    let mut inner = state.lock();
    let number = inner.asked_by(from);
    inner.add(number, &buffer[..length]);
    let answer = match &inner.conduct {
        Conduct::Answers(text) => text.clone().into_bytes(),
        Conduct::Garbles => garbage().split_off(3000),
        _ => return,
    };
    drop(inner);
    // Who asks and then goes away is not our affair.
    let _ = socket.send_to(&answer, from);
}
