//! Connection records by number.
//!
//! Records lie in chunks that never move, so growing costs one chunk and no copying. Freed places are used
//! again last in, first out, while they are still in the cache.

use super::Conn;
use super::wheel::NO_SLOT;

const CHUNK: usize = 1 << 12;

/// A record's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) u32);

impl Id {
    /// One bit is lost to the index.
    pub(super) const LIMIT: usize = 1 << 30;
}

/// A record, and its slot in the timer wheel. Aligned, it lies in two cache lines that processors fetch as a
/// pair: in a large table that saves a third of a look-up's time.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Node {
    pub(super) conn: Option<Conn>,
    pub(super) slot: u16,
}

#[derive(Debug, Default)]
pub(crate) struct Slab {
    chunks: Vec<Vec<Node>>,
    free: Vec<u32>,
    len: usize,
}

impl Slab {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// One past the highest number ever used.
    pub(crate) fn end(&self) -> usize {
        self.len + self.free.len()
    }

    pub(super) fn node(&self, id: Id) -> Option<&Node> {
        let i = id.0 as usize;
        self.chunks.get(i / CHUNK)?.get(i % CHUNK)
    }

    pub(super) fn node_mut(&mut self, id: Id) -> Option<&mut Node> {
        let i = id.0 as usize;
        self.chunks.get_mut(i / CHUNK)?.get_mut(i % CHUNK)
    }

    pub(crate) fn get(&self, id: Id) -> Option<&Conn> {
        self.node(id)?.conn.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut Conn> {
        self.node_mut(id)?.conn.as_mut()
    }

    /// Keeps a record; `None` if no number is left.
    pub(super) fn insert(&mut self, conn: Conn) -> Option<Id> {
        let id = match self.free.pop() {
            Some(i) => {
                let id = Id(i);
                self.node_mut(id)?.conn = Some(conn);
                id
            }
            None => {
                let i = self.end();
                if i >= Id::LIMIT {
                    return None;
                }
                if i.is_multiple_of(CHUNK) {
                    self.chunks.push(Vec::with_capacity(CHUNK));
                }
                self.chunks.last_mut()?.push(Node {
                    conn: Some(conn),
                    slot: NO_SLOT,
                });
                Id(i as u32)
            }
        };
        self.len += 1;
        Some(id)
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<Conn> {
        let conn = self.node_mut(id)?.conn.take()?;
        self.free.push(id.0);
        self.len -= 1;
        Some(conn)
    }
}

#[cfg(test)]
mod tests;
