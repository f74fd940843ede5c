use lvs_core::{Endpoint, Segment, TcpFlags, Time, Worker};

use super::*;
use crate::control::explained::Packet;
use crate::control::testing::Desk;

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

/// A daemon with these services, and its first worker.
fn running(commands: &str) -> (Desk, Worker) {
    let desk = Desk::open();
    desk.apply(commands);
    let worker = desk.plane.director.worker().unwrap();
    (desk, worker)
}

fn told(desk: &Desk, protocol: Protocol, client: &str, virt: &str) -> Explained {
    let packet = Packet {
        protocol: protocol.0,
        client: endpoint(client),
        virtual_address: endpoint(virt),
        interface: None,
    };
    desk.client().explain(packet).unwrap()
}

#[track_caller]
fn says(desk: &Desk, virt: &str, wanted: &str) {
    let said = explanation(&told(desk, Protocol::TCP, "10.9.1.2:4000", virt));
    assert_eq!(said, wanted, "\n{said}");
}

fn see(worker: &mut Worker, client: &str, virt: &str, flags: TcpFlags) {
    let packet = Segment {
        flags,
        ..Segment::new(Protocol::TCP, endpoint(client), endpoint(virt))
    };
    worker.decide(Time::default(), &[packet], &mut Vec::new());
}

#[test]
fn a_new_connection_and_what_the_scheduler_sees() {
    let (desk, mut worker) = running(
        "-A -t 10.0.0.1:80 -s wlc\n\
         -a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 3\n\
         -a -t 10.0.0.1:80 -r 10.1.0.2:8080 -g -w 0\n\
         -a -t 10.0.0.1:80 -r 10.1.0.3:80 -m -w 1 -x 1",
    );
    for port in 1..3 {
        let client = format!("10.9.1.1:{port}");
        see(&mut worker, &client, "10.0.0.1:80", TcpFlags::SYN);
        see(&mut worker, &client, "10.0.0.1:80", TcpFlags::ACK);
    }
    says(
        &desk,
        "10.0.0.1:80",
        "packet      TCP 10.9.1.2:4000 to 10.0.0.1:80
service     -t 10.0.0.1:80 (wlc): it has the packet's destination
connection  none
outcome     a new connection to 10.1.0.1:8080 by nat, which wlc chooses

servers, newest first; cost: (256 x active + inactive) / weight
   server                forward weight   active inactive persist        cost
   10.1.0.3:80           nat          1        1        0       0           -  overloaded (limit 1)
   10.1.0.2:80           dr           0        0        0       0           -  quiesced
-> 10.1.0.1:8080         nat          3        1        0       0       85.33
",
    );
}

#[test]
fn a_connection_under_its_template() {
    let (desk, mut worker) = running(
        "-A -t 10.0.0.1:80 -s rr -p 300 -M 255.255.255.0 --local-address 10.1.0.250:2000-2003\n\
         -a -t 10.0.0.1:80 -r 10.1.0.1:8080 --fullnat -x 9 -y 4\n\
         -a -t 10.0.0.1:80 -r 10.1.0.2:8080 --fullnat",
    );
    see(&mut worker, "10.9.1.2:4000", "10.0.0.1:80", TcpFlags::SYN);
    see(&mut worker, "10.9.1.2:4000", "10.0.0.1:80", TcpFlags::ACK);
    says(
        &desk,
        "10.0.0.1:80",
        "packet      TCP 10.9.1.2:4000 to 10.0.0.1:80
service     -t 10.0.0.1:80 (rr, persistent 300 s): it has the packet's destination
connection  ESTABLISHED to 10.1.0.2:8080 by fullnat, expires in 15:00, 2 packets from the client
            the server sees it coming from 10.1.0.250:2003
            under the client's template for 10.9.1.0/24 to 10.1.0.2:8080 (ASSURED, expires in 05:00)
outcome     goes its connection's way

servers, newest first
   server                forward weight   active inactive persist
-> 10.1.0.2:8080         fullnat      1        1        0       1
   10.1.0.1:8080         fullnat      1        0        0       0  (limit 9, until below 4)
",
    );
}

#[test]
fn a_template_decides_for_a_new_connection() {
    let (desk, mut worker) = running(
        "-A -t 10.0.0.1:0 -s rr -p 300\n\
         -a -t 10.0.0.1:0 -r 10.1.0.1 -m\n\
         -a -t 10.0.0.1:0 -r 10.1.0.2 -m",
    );
    see(&mut worker, "10.9.1.2:4000", "10.0.0.1:80", TcpFlags::SYN);
    says(
        &desk,
        "10.0.0.1:443",
        "packet      TCP 10.9.1.2:4000 to 10.0.0.1:443
service     -t 10.0.0.1:0 (rr, persistent 300 s): it has the address, and no service the port
connection  none
outcome     a new connection to 10.1.0.2:443 by nat, by the client's template for 10.9.1.2 to 10.1.0.2:0 (NONE, expires in 05:00)

servers, newest first
   server                forward weight   active inactive persist
-> 10.1.0.2:0            nat          1        1        0       1
   10.1.0.1:0            nat          1        0        0       0
",
    );
}

#[test]
fn marks_and_interfaces() {
    let (desk, _worker) = running(
        "--mark 9 --destination 10.0.0.9 --interface eth9\n\
         --mark 7 --destination 10.0.0.0/24 --protocol tcp\n\
         -A -f 7 -s twos\n\
         -a -f 7 -r 10.1.0.1 -m",
    );
    says(
        &desk,
        "10.0.0.9:80",
        "packet      TCP 10.9.1.2:4000 to 10.0.0.9:80
mark        7, by rule 2: --mark 7 --destination 10.0.0.0/24 --protocol tcp
            it depends on the interface: name that by --interface
service     -f 7 (twos): it has the packet's mark
connection  none
outcome     a new connection to 10.1.0.1:80 by nat, if twos draws it: another may be drawn

servers, newest first; cost: (256 x active + inactive) / weight
   server                forward weight   active inactive persist        cost
-> 10.1.0.1:0            nat          1        0        0       0           0
",
    );
    let packet = Packet {
        protocol: 6,
        client: endpoint("10.9.1.2:4000"),
        virtual_address: endpoint("10.0.0.9:80"),
        interface: Some("eth9".to_owned()),
    };
    let said = explanation(&desk.client().explain(packet).unwrap());
    let wanted = "packet      TCP 10.9.1.2:4000 to 10.0.0.9:80, in by eth9
mark        9, by rule 1: --mark 9 --destination 10.0.0.9 --interface eth9
service     none
connection  none
outcome     left to the host: no service is there (not ours)
";
    assert_eq!(said, wanted, "\n{said}");
}

#[test]
fn who_has_no_server_is_told_why() {
    let (desk, _worker) = running(
        "-A -t 10.0.0.1:80 -s wlc\n\
         -A -t 10.0.0.2:80 -s wlc\n\
         -a -t 10.0.0.2:80 -r 10.1.0.1 -m -w 0\n\
         -A -t 10.0.0.3:21 -s wlc\n\
         -a -t 10.0.0.3:21 -r 10.1.0.1 -m\n\
         -A -u 10.0.0.4:5060 -s rr -p 60 --pe sip\n\
         -a -u 10.0.0.4:5060 -r 10.1.0.1 -m\n\
         -A -t 10.0.0.5:80 -s rr --local-address 10.1.0.250:2000-2000\n\
         -a -t 10.0.0.5:80 -r 10.1.0.1 --fullnat",
    );
    let outcome = |protocol, virt: &str| {
        let told = told(&desk, protocol, "10.9.1.2:4000", virt);
        outcome_lines(&told).join("\n")
    };
    for (protocol, virt, wanted) in [
        (
            Protocol::TCP,
            "10.0.0.1:80",
            "dropped: the service has no servers (no destination)",
        ),
        (
            Protocol::TCP,
            "10.0.0.2:80",
            "dropped: all servers have weight 0 (no destination)",
        ),
        (
            Protocol::TCP,
            "10.0.0.3:3000",
            "left to the host: a service of all ports, or FTP's for data, must be persistent (no connection)",
        ),
        (
            Protocol::UDP,
            "10.0.0.4:5060",
            "dropped: the persistence engine needs a Call-ID, which this packet has not (unsupported)",
        ),
        (
            Protocol::TCP,
            "10.0.0.5:80",
            "dropped: FullNAT has no local port left towards the server (no local port)",
        ),
        (
            Protocol::TCP,
            "10.0.0.1:81",
            "left to the host: no service is there (not ours)",
        ),
    ] {
        assert_eq!(outcome(protocol, virt), wanted, "{virt}");
    }
    let ftp = told(&desk, Protocol::TCP, "10.9.1.2:4000", "10.0.0.3:3000");
    let line = service_line(ftp.service.as_ref().unwrap());
    assert_eq!(
        line,
        "-t 10.0.0.3:21 (wlc): the packet may be of an FTP data connection"
    );
}

/// What needs a daemon under stress, a helper or an interface is made up.
#[test]
fn what_is_rare_is_said_too() {
    let json = r#"{"packet":{"protocol":6,"client":"[fd00::9]:1","virtual_address":"[fd00::1]:21"},
        "mark":null,"interface_matters":false,
        "service":{"key":{"protocol":"tcp","address":"fd00::1","port":21},"matched_by":"connection",
            "scheduler":"nq","persistence":null},
        "connection":{"protocol":"TCP","client":"[fd00::9]:1","virtual_address":"[fd00::1]:21",
            "server":"[fd00::2]:21","method":"nat","state":"TIME_WAIT","expires":119,"template":false,
            "packets":1,"service":{"protocol":"tcp","address":"fd00::1","port":21},
            "from_server":true,"follows":null,"helper":{"shift_in":-2,"shift_out":3,"controls":true}},
        "outcome":{"becomes":"opens","server":"[fd00::2]:21","method":"tunnel","chosen_by":"scheduler",
            "template":null,"full":true},
        "servers":[{"server":"[fd00::2]:21","method":"tunnel","weight":2,"active":2,"inactive":0,"persistent":0,
            "upper":0,"lower":0,"overloaded":false,"eligible":true,"cost":3},
            {"server":"[fd00::2]:22","method":"tunnel","weight":2,"active":3,"inactive":0,"persistent":0,
            "upper":0,"lower":0,"overloaded":false,"eligible":true,"cost":4}],
        "lack":null,"drop_rate":4,
        "way":{"kind":"link","interface":"eth1","next_hop":"fe80::1","mac":"02:00:00:00:00:20"}}"#;
    let explained: Explained = serde_json::from_str(json).unwrap();
    let said = explanation(&explained);
    let wanted = "packet      TCP [fd00::9]:1 to [fd00::1]:21
service     -t [fd00::1]:21 (nq): its connection is the packet's
connection  TIME_WAIT to [fd00::2]:21 by nat, expires in 01:59, 1 packet from the client
            the packet comes from the server
            a helper reads it: sequence numbers move by -2 in, +3 out, and connections depend on it
outcome     its connection ends, and a new one opens to [fd00::2]:21 by tunnel, which nq chooses
            the table is full: one that has ended or not come about makes room, or the packet is dropped
            one in 4 new connections is dropped, for want of memory (drop_packet)
way         by eth1 to fe80::1 (02:00:00:00:00:20)

servers, newest first; cost: (active + 1) / weight
   server                forward weight   active inactive persist        cost
-> [fd00::2]:21          tunnel       2        2        0       0        1.50
   [fd00::2]:22          tunnel       2        3        0       0           2
";
    assert_eq!(said, wanted, "\n{said}");

    // At a port of its own it may be either of the two at this address.
    let mut elsewhere = explained;
    if let Outcome::Opens { server, .. } = &mut elsewhere.outcome {
        server.port = 99;
    }
    assert_eq!(chosen(&elsewhere), None);
}
