//! The same as RFC 9568 section 6.4, word for word, whatever comes when.

use proptest::prelude::*;

use super::*;

/// Section 6.4 as it is written, for a router that preempts; times in microseconds.
struct Rfc {
    priority: u8,
    master: bool,
    interval: u128,
    timer: u128,
}

impl Rfc {
    const OWN: u128 = 1_000_000;

    fn new(priority: u8) -> Self {
        let mut rfc = Self {
            priority,
            master: false,
            interval: Self::OWN,
            timer: 0,
        };
        rfc.timer = rfc.down();
        rfc
    }

    fn skew(&self) -> u128 {
        (256 - u128::from(self.priority)) * self.interval / 256
    }

    fn down(&self) -> u128 {
        3 * self.interval + self.skew()
    }

    /// Time goes on until the timer runs out; the number of advertisements sent then.
    fn elapsed(&mut self) -> usize {
        self.master = true;
        self.interval = Self::OWN;
        self.timer = Self::OWN;
        1
    }

    fn heard(&mut self, from: u8, priority: u8, interval: u128) -> usize {
        let outranks = priority > self.priority || (priority == self.priority && from > 100);
        match (self.master, priority) {
            (false, 0) => self.timer = self.skew(),
            (false, _) if priority >= self.priority => {
                self.interval = interval;
                self.timer = self.down();
            }
            (false, _) => {}
            (true, _) if priority != 0 && outranks => {
                self.master = false;
                self.interval = interval;
                self.timer = self.down();
            }
            // The one difference: our own address, with our own priority.
            (true, _) if (priority, from) == (self.priority, 100) => {}
            (true, _) => {
                self.timer = Self::OWN;
                return 1;
            }
        }
        0
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// This part of the time until the timer runs out, in percent.
    Wait(u32),
    RunOut,
    Hear(u8, u8, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let priority = prop_oneof![Just(0), Just(99), Just(100), Just(101), any::<u8>()];
    let from = prop_oneof![Just(99u8), Just(100), Just(101), 1..=199u8];
    // In steps of 160 ms, whose skew times are whole microseconds.
    let hear = (from, priority, 1..=255u64).prop_map(|(f, p, n)| Step::Hear(f, p, n * 160));
    let step = prop_oneof![
        2 => (0..100u32).prop_map(Step::Wait),
        2 => Just(Step::RunOut),
        5 => hear,
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #[test]
    fn it_does_what_the_rfc_says(priority in prop_oneof![Just(100u8), 1..=254u8], steps in steps()) {
        let mut rfc = Rfc::new(priority);
        let mut bench = Bench::started(RouterConfig { priority, ..config() });
        for step in steps {
            let (sent, done) = match step {
                Step::Wait(percent) => {
                    let part = rfc.timer * u128::from(percent) / 100;
                    rfc.timer -= part;
                    (0, bench.pass(Duration::from_micros(part as u64)))
                }
                Step::RunOut => (rfc.elapsed(), bench.wait()),
                Step::Hear(from, priority, interval) => {
                    let advert = Advertisement {
                        interval: ms(interval),
                        ..advert(from, priority)
                    };
                    let sent = rfc.heard(from, priority, u128::from(interval) * 1000);
                    (sent, bench.with(|r, now, out| r.heard(&advert, now, out)))
                }
            };
            let says = Action::Advertise { priority };
            prop_assert_eq!(done.iter().filter(|action| **action == says).count(), sent);
            prop_assert_eq!(bench.state() == State::Master, rfc.master);
            prop_assert_eq!(bench.left(), Some(rfc.timer));
        }
    }
}
