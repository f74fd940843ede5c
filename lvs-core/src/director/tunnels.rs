//! What a data plane asks the director when its own tunnel packets do not arrive.
//!
//! An ICMP error about a tunnel packet quotes, inside of that, a client's packet to a service. It is believed only if
//! there is such a connection, and if that leads through such a tunnel.

use super::{Worker, burst, lock};
use crate::addr::Ip;
use crate::config::Role;
use crate::conn::Tuple;
use crate::dest::{Encapsulation, Method};
use crate::segment::Segment;
use crate::verdict::Direction;

impl Worker {
    /// The tunnel through which the connection of `sent`, a packet from a client to a service, leads to its real server:
    /// the far end, and what stands between the headers. `None` if there is no such connection, none by tunnel, or the
    /// server has been removed. Only looks: nothing is counted, and no timer restarted.
    pub fn tunnel_of(&self, sent: &Segment) -> Option<(Ip, Encapsulation)> {
        let director = &*self.director;
        let tuple = Tuple::from(sent);
        let number = burst::shard_of(&tuple, Some(Role::Virtual), director.shards.len());
        let mut shard = lock(&director.shards[number]);
        let found = shard.find(director.seed.hash_one(tuple), &tuple)?;
        let conn = shard.get_mut(found.id)?;
        let is_ours = found.direction == Direction::In
            && conn.method == Method::Tunnel
            && conn.dest.is_available();
        is_ours.then(|| (conn.dest_addr.ip, conn.dest.encapsulation()))
    }
}
