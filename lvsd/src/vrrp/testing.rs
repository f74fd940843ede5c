//! For tests: configurations as they are read from files.

use std::path::Path;

use crate::keepalived::host::FakeHost;
use crate::keepalived::model::Vrrp;
use crate::keepalived::{Options, load};

/// The virtual routers of a text.
pub(crate) fn vrrp(text: &str) -> Vrrp {
    let path = "/etc/keepalived/keepalived.conf";
    let host = FakeHost::default().with_file(path, text);
    let loaded = load(Path::new(path), &Options::default(), &host);
    assert!(!loaded.is_refused(), "{text}\n{:#?}", loaded.diagnostics);
    loaded.config.vrrp
}

/// A virtual router on eth0 with one address, its number and these lines.
pub(crate) fn instance(name: &str, vrid: u8, lines: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n virtual_ipaddress {{\n  192.0.2.{vrid}/24\n }}\n \
         {lines}\n}}\n"
    )
}
