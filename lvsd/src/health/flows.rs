//! Flows of servers that have failed.
//!
//! Problem: IPVS leaves a client of UDP, and one that persistence holds, with a server that has failed until it has been silent for
//! minutes. So the clients that speak most stay without service longest.
//!
//! Rule: once a server is out of the list, its UDP flows and all templates that lead to it are forgotten, and the next packet is
//! scheduled anew. TCP connections are left alone: another server does not know them. As that means a walk through all
//! connections, a thread of its own does it, and one walk serves everything that has failed meanwhile.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use lvs_core::{ConnInfo, Endpoint, Protocol, ServiceKey};

use crate::control::desk::Plane;

/// Moves flows in the background, until it is dropped.
#[derive(Debug)]
pub(crate) struct Mover {
    failed: Option<Sender<(ServiceKey, Endpoint)>>,
    thread: Option<JoinHandle<()>>,
}

impl Mover {
    /// Of the connections of this director.
    pub(crate) fn start(plane: Arc<dyn Plane>, log: fn(&str)) -> io::Result<Self> {
        let (failed, queue) = mpsc::channel();
        let body = move || {
            while let Ok(first) = queue.recv() {
                let failed: HashSet<_> = std::iter::once(first).chain(queue.try_iter()).collect();
                let moved = evict(&*plane, &failed);
                if moved > 0 {
                    log(&format!(
                        "moved {moved} flows and templates of failed servers"
                    ));
                }
            }
        };
        let thread = thread::Builder::new().name("lvsd-mover".to_owned());
        Ok(Self {
            failed: Some(failed),
            thread: Some(thread.spawn(body)?),
        })
    }

    /// This server of this service has failed, and is not in its list any more.
    pub(crate) fn failed(&self, service: ServiceKey, server: Endpoint) {
        if let Some(failed) = &self.failed {
            let _ = failed.send((service, server)); // the other end lives as long as we do
        }
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.failed = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn evict(plane: &dyn Plane, failed: &HashSet<(ServiceKey, Endpoint)>) -> usize {
    let which = |conn: &ConnInfo| {
        (conn.is_template() || conn.protocol == Protocol::UDP)
            && failed.contains(&(conn.service, conn.server))
    };
    plane.director().evict(plane.now(), &which)
}
