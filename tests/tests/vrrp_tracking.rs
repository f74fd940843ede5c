//! What is tracked decides who is master: files, scripts and interfaces, by weights and by faults; groups go together.

use std::fs;
use std::time::Duration;

use tests::for_each_pair;
use tests::vrrp::Flavour::V3;
use tests::vrrp::Place::{First, Second};
use tests::vrrp::fleet::fleet;
use tests::vrrp::pair::GLOBAL;
use tests::vrrp::{Cast, Pair, Place, Router, Rule, Side};

/// What a virtual router of the first director tracks, and so who is its master when it fails.
struct Tracked {
    vrid: u8,
    /// Of its `vrrp_instance`.
    lines: &'static str,
    rule: Rule,
    /// Who takes over when this fails; `None`: nobody.
    by: Option<Failing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failing {
    File,
    Script,
    Interface,
}

const TRACKED: [Tracked; 9] = [
    Tracked::by(1, "track_file {\n fine weight 1\n }", Failing::File),
    Tracked::by(2, "track_script {\n well weight -60\n }", Failing::Script),
    Tracked::by(3, "track_script {\n well\n }", Failing::Script),
    Tracked::by(4, "track_interface {\n spare\n }", Failing::Interface),
    Tracked::by(
        5,
        "track_interface {\n spare weight -60\n }",
        Failing::Interface,
    ),
    // Together they are a group.
    Tracked::by(6, "track_script {\n well\n }", Failing::Script),
    Tracked::by(7, "", Failing::Script),
    // A live master is left alone, also when its priority has become the lower one.
    Tracked {
        vrid: 8,
        lines: "track_script {\n well weight -60\n }",
        rule: Rule::NoPreempt,
        by: None,
    },
    // Good is bad and bad is good, and neither is enough.
    Tracked {
        vrid: 9,
        lines: "track_script {\n well weight 30 reverse\n }",
        rule: Rule::Preempt,
        by: None,
    },
];

impl Tracked {
    const fn by(vrid: u8, lines: &'static str, by: Failing) -> Self {
        Self {
            vrid,
            lines,
            rule: Rule::Preempt,
            by: Some(by),
        }
    }

    fn router(&self) -> Router {
        let one = fleet(&[V3], &[self.rule], Duration::from_millis(100));
        let multicast = one.into_iter().find(|r| r.cast == Cast::Multicast);
        Router {
            vrid: self.vrid,
            ..multicast.expect("there is one")
        }
    }
}

fn what_is_tracked_decides(sides: [Side; 2]) {
    let mut pair = Pair::new(sides, TRACKED.iter().map(Tracked::router).collect());
    let [flag, file] = ["flag", "file"].map(|name| pair.lan.director.file(name));
    let mut conf = format!(
        "{GLOBAL}vrrp_script well {{\n script \"/usr/bin/test -e {}\"\n interval 0.2\n user root\n }}\n\
         track_file fine {{\n file {}\n }}\n\
         vrrp_sync_group G {{\n group {{\n V6\n V7\n }}\n }}\n",
        flag.display(),
        file.display()
    );
    conf.extend(TRACKED.iter().map(|t| t.router().block(First, t.lines)));
    pair.configure(First, conf);
    let group = "vrrp_sync_group G {\n group {\n V6\n V7\n }\n }\n";
    pair.configure(
        Second,
        GLOBAL.to_owned() + group + &pair.conf(Second)[GLOBAL.len()..],
    );

    fs::write(&flag, "").unwrap();
    fs::write(&file, "0\n").unwrap();
    let spare = "link add spare type veth peer name end\nlink set spare up\nlink set end up\n";
    pair.lan.director.ip(spare);
    pair.start(First);
    pair.await_masters("the first alone", masters(&[]));
    pair.start(Second);
    pair.await_masters("all is well", masters(&[]));

    pair.disturb(|_| fs::write(&file, "-60\n").unwrap());
    pair.await_masters("the file says so", masters(&[Failing::File]));
    pair.disturb(|_| fs::remove_file(&flag).unwrap());
    pair.await_masters(
        "the script fails",
        masters(&[Failing::File, Failing::Script]),
    );
    pair.disturb(|lan| lan.director.ip("link set end down\n"));
    let all = [Failing::File, Failing::Script, Failing::Interface];
    pair.await_masters("the interface is down", masters(&all));
    pair.disturb(|_| fs::write(&file, "0\n").unwrap());
    pair.await_masters("the file is well", masters(&all[1..]));
    pair.disturb(|lan| {
        fs::write(&flag, "").unwrap();
        lan.director.ip("link set end up\n");
    });
    pair.await_masters("all is well again", masters(&[]));
    pair.stop(First);
    pair.await_masters("the first is stopped", |_, _| vec![Second]);
    pair.stop(Second);
    pair.await_good_captures();
}

for_each_pair!(what_is_tracked_decides);

/// Who is master of what while these fail.
fn masters(failing: &[Failing]) -> impl Fn(&Pair, &Router) -> Vec<Place> {
    move |_, router| {
        let mut tracked = TRACKED.iter();
        let tracked = tracked.find(|t| t.vrid == router.vrid).expect("it is one");
        let falls = tracked.by.is_some_and(|by| failing.contains(&by));
        vec![if falls { Second } else { First }]
    }
}
