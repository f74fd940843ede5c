//! All virtual routers of a host.

/// All virtual routers of a host, and their groups: what a driver drives.
#[derive(Debug, Default)]
pub struct Speaker {}
