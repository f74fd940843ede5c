//! The commands that a drain sends, and those it tells people of.
//!
//! `-e` replaces everything about a server. So that only the weight changes, everything else is said as it stands.

use crate::control::table::{Key, Server};
use crate::rules::{Command, ServerRule};

/// The words that give the server this weight and leave it as it is otherwise.
pub(super) fn weigh(service: Key, server: &Server, weight: u32) -> Vec<String> {
    Command::EditServer(service.into(), rule(server, weight)).words()
}

/// The words that add the server with this weight, as it is otherwise.
pub(super) fn add(service: Key, server: &Server, weight: u32) -> Vec<String> {
    Command::AddServer(service.into(), rule(server, weight)).words()
}

/// The words that remove the server.
pub(super) fn remove(service: Key, server: &Server) -> Vec<String> {
    Command::DeleteServer(service.into(), server.endpoint()).words()
}

fn rule(server: &Server, weight: u32) -> ServerRule {
    let mut rule = server.rule();
    rule.options.weight = weight;
    rule
}

#[cfg(test)]
mod tests {
    use crate::control::testing::Desk;

    use super::*;

    /// Every kind of server: the command changes its weight and nothing else.
    #[test]
    fn only_the_weight_changes() {
        let desk = Desk::open();
        desk.apply(
            "-A -t 10.0.0.1:80 -s rr --local-address 10.1.0.250\n\
             -a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 3 -x 9 -y 4\n\
             -a -t 10.0.0.1:80 -r 10.1.0.2 -g -w 2147483647\n\
             -a -t 10.0.0.1:80 -r 10.1.0.3 -i --tun-type gre --tun-csum\n\
             -a -t 10.0.0.1:80 -r 10.1.0.4 -i --tun-type gre\n\
             -a -t 10.0.0.1:80 -r 10.1.0.5 -i --tun-type gue --tun-port 6080 --tun-remcsum -x 7\n\
             -a -t 10.0.0.1:80 -r 10.1.0.6 -i --tun-type gue --tun-port 6081 --tun-csum\n\
             -a -t 10.0.0.1:80 -r 10.1.0.7 -i --tun-type gue --tun-port 6082\n\
             -a -t 10.0.0.1:80 -r fd00::8 -i\n\
             -a -t 10.0.0.1:80 -r 10.1.0.9:0 --fullnat -w 2\n\
             -A -u [fd00::1]:53 -s wlc\n\
             -a -u [fd00::1]:53 -r [fd00::2]:5353 -m\n\
             -A --sctp-service 10.0.0.1:0 -s wlc -p 60\n\
             -a --sctp-service 10.0.0.1:0 -r 10.1.0.1 -m\n\
             -A -f 7 -s wlc\n\
             -a -f 7 -r 10.1.0.1 -m\n\
             -A -f 7 -6 -s wlc\n\
             -a -f 7 -6 -r fd00::2 -m",
        );
        let mut client = desk.client();
        let before = client.table().unwrap();
        for service in &before.services {
            for server in &service.servers {
                let words = weigh(service.key, server, 5);
                assert_eq!(
                    client.apply(vec![words.clone()], false).unwrap(),
                    Ok(()),
                    "{words:?}"
                );
            }
        }
        let mut wanted = before;
        for service in &mut wanted.services {
            service.servers.iter_mut().for_each(|s| s.weight = 5);
        }
        assert_eq!(client.table().unwrap().services, wanted.services);
        // Removed and added in turn, the servers are in the other order in the end.
        for service in &wanted.services {
            for server in &service.servers {
                let commands = vec![remove(service.key, server), add(service.key, server, 5)];
                assert_eq!(
                    client.apply(commands.clone(), false).unwrap(),
                    Ok(()),
                    "{commands:?}"
                );
            }
        }
        wanted.services.iter_mut().for_each(|s| s.servers.reverse());
        assert_eq!(client.table().unwrap().services, wanted.services);
    }
}
