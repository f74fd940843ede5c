//! Two directors whose files do not agree: which differences matter, and which do not.

use std::time::Duration;

use tests::command::eventually;
use tests::for_each_pair;
use tests::process::PATIENCE;
use tests::vrrp::Flavour::{V2, V2Ah, V2Pass, V3, V3Ipv6};
use tests::vrrp::Place::{First, Second};
use tests::vrrp::pair::GLOBAL;
use tests::vrrp::{Cast, Flavour, Pair, Place, Router, Rule, Side};

/// A difference: in the second director's file this is replaced by that.
struct Difference {
    flavour: Flavour,
    interval: Duration,
    this: &'static str,
    that: &'static str,
    /// Adverts are dropped for it.
    matters: bool,
}

const SECOND: Duration = Duration::from_secs(1);
const TENTH: Duration = Duration::from_millis(100);

const DIFFERENCES: [Difference; 9] = [
    Difference::matters(V2Pass, "auth_pass s3cret", "auth_pass secret"),
    Difference::matters(V2Ah, "auth_pass s3cret", "auth_pass secret"),
    Difference::matters(V2Ah, "auth_type AH", "auth_type PASS"),
    Difference::matters(
        V2Pass,
        "authentication {\n  auth_type PASS\n  auth_pass s3cret\n }",
        "",
    ),
    Difference::matters(V2, "advert_int 1", "advert_int 2"),
    Difference::matters(V2, "version 2", "version 3"),
    // The master's interval counts.
    Difference::does_not_matter(V3, "advert_int 0.1", "advert_int 0.3"),
    Difference::does_not_matter(V3Ipv6, "advert_int 0.1", "advert_int 0.3"),
    Difference {
        interval: TENTH,
        ..Difference::matters(
            V3,
            "virtual_ipaddress {",
            "virtual_ipaddress {\n  10.9.0.250",
        )
    },
];

impl Difference {
    const fn matters(flavour: Flavour, this: &'static str, that: &'static str) -> Self {
        Self {
            flavour,
            interval: SECOND,
            this,
            that,
            matters: true,
        }
    }

    const fn does_not_matter(flavour: Flavour, this: &'static str, that: &'static str) -> Self {
        Self {
            flavour,
            interval: TENTH,
            this,
            that,
            matters: false,
        }
    }

    fn keyword(&self) -> &'static str {
        match self.this.split(' ').next().unwrap_or_default() {
            "authentication" => "auth_type",
            word => word,
        }
    }
}

fn files_do_not_agree(sides: [Side; 2]) {
    let routers = DIFFERENCES
        .iter()
        .zip(1..)
        .map(|(difference, vrid)| Router {
            vrid,
            flavour: difference.flavour,
            cast: Cast::Multicast,
            rule: Rule::Preempt,
            interval: difference.interval,
            vmac: false,
        });
    let mut pair = Pair::new(sides, routers.collect());
    let others = DIFFERENCES
        .iter()
        .zip(pair.fleet())
        .map(|(difference, router)| {
            let block = router.block(Second, "");
            let other = block.replacen(difference.this, difference.that, 1);
            assert_ne!(block, other, "{}", difference.this);
            other
        });
    let conf = GLOBAL.to_owned() + &others.collect::<String>();
    pair.configure(Second, conf);

    pair.start(Second);
    pair.await_held("the second alone", |_, _| vec![Second]);
    pair.start(First);
    pair.await_held("both", |_, router| {
        if DIFFERENCES[usize::from(router.vrid) - 1].matters {
            Place::BOTH.to_vec()
        } else {
            vec![First]
        }
    });
    for place in Place::BOTH {
        if sides[place as usize] == Side::Lvsd {
            names_all(&pair, place);
        }
    }
}

/// lvsd says of each difference which keyword is to be made the same.
#[track_caller]
fn names_all(pair: &Pair, place: Place) {
    let unnamed = || -> Vec<u8> {
        let said = pair.said(place);
        let names = |vrid: u8, keyword: &str| {
            let from = format!("(V{vrid}) from ");
            let mut lines = said.lines();
            lines.any(|line| line.contains(&from) && line.contains(keyword))
        };
        let all = DIFFERENCES.iter().zip(1..);
        let unnamed = all.filter(|(difference, vrid)| !names(*vrid, difference.keyword()));
        unnamed.map(|(_, vrid)| vrid).collect()
    };
    assert!(
        eventually(PATIENCE, || unnamed().is_empty()),
        "{place:?} names nothing about {:?}",
        unnamed()
    );
}

for_each_pair!(files_do_not_agree);
