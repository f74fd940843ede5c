//! How services and servers are called in logs, pipes and mails: as keepalived calls them.

use lvs_core::{Endpoint, Protocol};

use crate::keepalived::model::{Head, VirtualServer};

/// A virtual service: `[192.0.2.1]:tcp:80`, `[GROUP]:0` or `FWM 1`.
pub(crate) fn service(service: &VirtualServer) -> String {
    match &service.head {
        Head::Address(protocol, addr) => endpoint(*addr, Some(*protocol)),
        Head::Mark(_, mark) => format!("FWM {mark}"),
        Head::Group(_, name) => format!("[{name}]:0"),
    }
}

/// A server of a service: `[10.0.0.1]:tcp:80`.
pub(crate) fn server(service: &VirtualServer, addr: Endpoint) -> String {
    let protocol = match &service.head {
        Head::Address(protocol, _) => Some(*protocol),
        Head::Group(protocol, _) => *protocol,
        Head::Mark(..) => None,
    };
    endpoint(addr, protocol)
}

fn endpoint(addr: Endpoint, protocol: Option<Protocol>) -> String {
    let protocol = match protocol {
        Some(Protocol::TCP) => "tcp",
        Some(Protocol::UDP) => "udp",
        Some(Protocol::SCTP) => "sctp",
        _ => "none",
    };
    format!("[{}]:{protocol}:{}", addr.ip, addr.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_in_brackets() {
        let addr = |text: &str| text.parse::<Endpoint>().unwrap();
        let v4 = endpoint(addr("10.0.0.1:80"), Some(Protocol::TCP));
        assert_eq!(v4, "[10.0.0.1]:tcp:80");
        let v6 = endpoint(addr("[2001:db8::1]:53"), Some(Protocol::UDP));
        assert_eq!(v6, "[2001:db8::1]:udp:53");
        assert_eq!(endpoint(addr("10.0.0.1:0"), None), "[10.0.0.1]:none:0");
    }
}
