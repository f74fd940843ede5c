//! What values options take.

use super::*;

/// Texts that an option takes, and texts that it does not.
fn check(before: &str, after: &str, taken: &str, refused: &str, message: &str) {
    for text in taken.split_whitespace() {
        let line = format!("{before} {text} {after}");
        assert!(read(&line).is_ok(), "{line}: {:?}", read(&line));
    }
    for text in refused.split_whitespace() {
        let line = format!("{before} {text} {after}");
        let shown = text.trim_matches('\'');
        assert_eq!(
            refusal(&line),
            format!("2 {}", message.replace("{}", shown)),
            "{line}"
        );
    }
}

#[test]
fn addresses() {
    let taken = "10.0.0.1:80 10.0.0.1:http 10.0.0.1 10.1:80 0:80 010.0.0.80:80 localhost:81 10.0.0.1:+80 10.0.0.1:0 \
                 10.0.0.1:080 2001:db8::1 [2001:db8::1]:80 ::1:80 80:80 [::1]:http 224.0.0.1:80";
    // ipvsadm takes the last three, and for something else than what is written: see docs/ipvsadm.md.
    let refused = "80 '' :80 10.0.0.1: 10.0.0.1:80:90 10.0.0.1:99999 10.0.0.1:-1 10.0.0.1:nosuch 10.0.0.1:0x50 \
                   10.0.0.1:80x nosuchhost:80 256.0.0.1:80 1.2.3.4.5:80 [2001:db8::1] [::1]: [::1]80 [::1:80 []:80 \
                   [fe80::1%eth0]:80 fe80::1%eth0 [10.0.0.1]:80 ::ffff:10.0.0.1 [::ffff:10.0.0.1]:80";
    let message = "illegal virtual server address[:port] specified";
    check("-A -t", "-p", taken, refused, message);
    let of_server = "illegal real server address[:port] specified";
    check("-d -t [::1]:80 -r", "", taken, refused, of_server);
    assert_meanings(
        "
-A -t 10.0.0.1:http => -A -t 10.0.0.1:80 -s wlc
-A -t 10.1:80 => -A -t 10.0.0.1:80 -s wlc
-A -t 0:80 => -A -t 0.0.0.0:80 -s wlc
-A -t 010.0.0.80:080 => -A -t 8.0.0.80:80 -s wlc
-A -t localhost:81 => -A -t 127.0.0.1:81 -s wlc
-A -p -t ::1:80 => -A -t [::1:80]:0 -s wlc -p 360
",
    );
    // A name of a port is one of the service's protocol.
    check("-A -u", "", "10.0.0.1:domain", "10.0.0.1:http", message);
}

#[test]
fn marks() {
    let refused = "0 4294967296 -1 0x9 x '' 5x";
    let message = "invalid fwmark value `{}' specified";
    check("-A -f", "", "1 4294967295 +5 010", refused, message);
    assert_refusals(
        "
-A -6 -f 3 => 2 -6 used before -f
-D -t 10.0.0.1:80 -6 => 2 -6 used before -f
-C -6 => 2 -6 used before -f
",
    );
}

#[test]
fn persistence() {
    let refused = "0 2678401 rr '' 1.5 0x5";
    let message = "invalid timeout value `{}' specified";
    check("-A -f 7 -p", "", "1 2678400 +5", refused, message);
    assert_refusals(
        "
-A -f 7 -prr => 2 invalid timeout value `rr' specified
-A -f 7 -p=-1 => 2 invalid timeout value `-1' specified
",
    );
    let taken = "255.255.255.0 24 255.0.255.0 0.0.0.0 localhost 0xff000000";
    let refused = "x '' 255.255.255.256 fd00:: /24";
    let message = "illegal virtual server persistent mask specified";
    check("-A -f 7 -M", "", taken, refused, message);
    let refused = "0 129 ffff:: '' 255.0.0.0 -1";
    let message = "illegal ipv6 netmask specified";
    check("-A -f 7 -6 -M", "", "1 64 128 64x", refused, message);
}

#[test]
fn amounts() {
    for (option, name) in [
        ("-w", "weight"),
        ("-x", "u_threshold"),
        ("-y", "l_threshold"),
    ] {
        let message = format!("illegal {name} specified");
        let refused = "-1 2147483648 x '' 0x3 3x 99999999999999999999";
        let before = format!("-a -t 10.0.0.1:80 -r 10.0.0.2 {option}");
        check(&before, "", "0 2147483647 +3 007", refused, &message);
    }
    let before = "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gue --tun-port";
    let message = "illegal tunnel port specified";
    check(before, "", "1 65535", "0 65536 -1 x ''", message);
    let before = "-a -t 10.0.0.1:80 -r 10.0.0.2 --tun-port 1 -i --tun-type";
    let message = "illegal tunnel type specified";
    check(before, "", "gue", "gu GUE ''", message);
}

#[test]
fn sync_daemons() {
    for (option, taken, refused, message) in [
        ("syncid", "0 255", "256 -1 x ''", "illegal syncid specified"),
        (
            "sync-maxlen",
            "1 65507",
            "0 65508 x",
            "illegal sync-maxlen specified",
        ),
        (
            "mcast-port",
            "1 65535",
            "0 65536 x",
            "illegal mcast-port specified",
        ),
        (
            "mcast-ttl",
            "1 255",
            "0 256 x",
            "illegal mcast-ttl specified",
        ),
        (
            "mcast-group",
            "224.0.0.81 239.255.255.255",
            "10.0.0.1 224.0.0.300 240.0.0.0 224.1 x ''",
            "invalid IPv4 mcast-group `{}'",
        ),
        (
            "mcast-group",
            "ff02::1",
            "fd00::1 ff02::zz [ff02::1] 224.0.0.1:80",
            "invalid IPv6 mcast-group `{}'",
        ),
    ] {
        let before = format!("--start-daemon master --{option}");
        check(&before, "", taken, refused, message);
    }
    assert_refusals(
        "
--start-daemon x => 2 illegal start-daemon parameter specified
--start-daemon -n => 2 illegal start-daemon parameter specified
--start-daemon= => 2 illegal start-daemon parameter specified
--stop-daemon x => 2 illegal start_daemon specified
--start-daemon master backup => 2 unexpected argument backup
-L --syncid 256 => 2 illegal syncid specified
",
    );
}
