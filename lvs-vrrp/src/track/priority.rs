//! From how everything is that a virtual router watches to its priority, and to whether it can take part.

use crate::config::{Object, RouterConfig, Tracked};
use crate::event::Cause;
use crate::status::{ObjectState, Part, Priority};

/// What a file adds to the priority at most.
const MOST: i64 = 253;

/// With so much, whatever the priority is, nothing of it is left: a fault.
const TOO_LOW: i64 = -254;

/// What all that a virtual router watches does to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assessment {
    /// Its priority and what that is made of.
    pub priority: Priority,
    /// What keeps it from taking part, in the order of the configuration.
    pub faults: Vec<Cause>,
    /// Something that decides (it has no weight) has not been looked at, so that it should not begin yet.
    pub waiting: bool,
}

/// What all that a virtual router watches does to it, from how each object is.
///
/// The priority is the configured one and all contributions, at least 1 and at most 254. An owner's (255) never changes, so
/// only what has no weight counts there. An object with weight adds that while it is good (positive), or while it is bad
/// (negative); one without puts the router in fault while it is bad. A file adds its number times its weight, and is a fault if
/// that is −254 or less; without weight each number but 0 is one. Reversed objects do all that the other way round.
pub fn assess(config: &RouterConfig, state_of: &dyn Fn(&Object) -> ObjectState) -> Assessment {
    let mut parts = Vec::with_capacity(config.tracking.len());
    let mut faults = Vec::new();
    let mut waiting = false;
    let mut sum = i64::from(config.priority);
    for tracked in &config.tracking {
        let state = state_of(&tracked.object);
        let (adds, fault) = match Effect::of(tracked, state) {
            // Weights mean nothing to an owner.
            Effect::Adds(_) | Effect::TooLow if config.is_owner() => (0, None),
            Effect::Adds(number) => (number, None),
            Effect::TooLow => (0, Some(Cause::FileTooLow(tracked.object.clone()))),
            Effect::Fault => (0, Some(fault(tracked))),
        };
        waiting |= tracked.weight == 0 && state == ObjectState::Unknown;
        sum = sum.saturating_add(i64::from(adds));
        parts.push(Part {
            object: tracked.object.clone(),
            state,
            weight: tracked.weight,
            reverse: tracked.reverse,
            adds,
            fault: fault.is_some(),
        });
        faults.extend(fault);
    }
    let effective = match config.is_owner() {
        true => RouterConfig::OWNER,
        false => sum.clamp(1, 254) as u8,
    };
    let priority = Priority {
        configured: config.priority,
        effective,
        parts,
    };
    Assessment {
        priority,
        faults,
        waiting,
    }
}

/// What one object does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Adds(i32),
    Fault,
    TooLow,
}

impl Effect {
    fn of(tracked: &Tracked, state: ObjectState) -> Self {
        let weight = i64::from(tracked.weight);
        let sign = if tracked.reverse { -1 } else { 1 };
        let good = match state {
            ObjectState::Unknown => return Self::Adds(0),
            ObjectState::Good => true,
            ObjectState::Bad => false,
            ObjectState::Number(number) if weight != 0 => {
                let product = number.saturating_mul(weight).saturating_mul(sign);
                return match product {
                    ..=TOO_LOW => Self::TooLow,
                    product => Self::Adds(product.min(MOST) as i32),
                };
            }
            ObjectState::Number(number) => number == 0,
        };
        match weight {
            0 if good == tracked.reverse => Self::Fault,
            1.. if good => Self::adds(weight * sign),
            ..=-1 if !good => Self::adds(weight * sign),
            _ => Self::Adds(0),
        }
    }

    fn adds(number: i64) -> Self {
        Self::Adds(number.clamp(i32::MIN.into(), i32::MAX.into()) as i32)
    }
}

fn fault(tracked: &Tracked) -> Cause {
    let object = tracked.object.clone();
    match tracked.reverse {
        true => Cause::Reversed(object),
        false => Cause::Object(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ObjectState::{Bad, Good, Number, Unknown};

    fn script(name: &str) -> Object {
        Object::Script(name.to_owned())
    }

    fn router(priority: u8, tracking: &[(Object, i32, bool)]) -> RouterConfig {
        let tracked = |(object, weight, reverse): &(Object, i32, bool)| Tracked {
            object: object.clone(),
            weight: *weight,
            reverse: *reverse,
        };
        RouterConfig {
            priority,
            tracking: tracking.iter().map(tracked).collect(),
            ..RouterConfig::new("r", 1, Vec::new())
        }
    }

    /// What one object does to a router of priority 100: the effective one, and whether it is a fault.
    fn alone(weight: i32, reverse: bool, state: ObjectState) -> (u8, bool) {
        let object = script("s");
        let done = assess(&router(100, &[(object, weight, reverse)]), &|_| state);
        let part = &done.priority.parts[0];
        assert_eq!((part.state, part.weight), (state, weight));
        assert_eq!(part.fault, !done.faults.is_empty());
        if !part.fault {
            let sum = i64::from(part.adds) + 100;
            assert_eq!(i64::from(done.priority.effective), sum.clamp(1, 254));
        }
        (done.priority.effective, part.fault)
    }

    #[test]
    fn each_weight_in_each_state() {
        let rows = [
            // weight, reverse, good, bad
            (0, false, (100, false), (100, true)),
            (0, true, (100, true), (100, false)),
            (10, false, (110, false), (100, false)),
            (10, true, (90, false), (100, false)),
            (-10, false, (100, false), (90, false)),
            (-10, true, (100, false), (110, false)),
            (253, false, (254, false), (100, false)),
            (253, true, (1, false), (100, false)),
            (-253, false, (100, false), (1, false)),
            (i32::MAX, false, (254, false), (100, false)),
            (i32::MIN, false, (100, false), (1, false)),
            (i32::MIN, true, (100, false), (254, false)),
        ];
        for (weight, reverse, good, bad) in rows {
            assert_eq!(alone(weight, reverse, Good), good, "{weight} {reverse}");
            assert_eq!(alone(weight, reverse, Bad), bad, "{weight} {reverse}");
            let unknown = alone(weight, reverse, Unknown);
            assert_eq!(unknown, (100, false), "{weight} {reverse}");
        }
    }

    #[test]
    fn numbers_in_files() {
        let rows = [
            // weight, reverse, number, what comes out
            (0, false, 0, (100, false)),
            (0, false, 1, (100, true)),
            (0, false, -1, (100, true)),
            (0, true, 0, (100, true)),
            (0, true, 7, (100, false)),
            (1, false, 5, (105, false)),
            (1, true, 5, (95, false)),
            (-1, false, 5, (95, false)),
            (2, false, -10, (80, false)),
            (1, false, 253, (254, false)),
            (1, false, i64::MAX, (254, false)),
            (1, false, -253, (1, false)),
            (1, false, -254, (100, true)),
            (127, false, -2, (100, true)),
            (-1, true, -254, (100, true)),
            (-254, false, 1, (100, true)),
            (-254, false, i64::MIN, (254, false)),
            (-254, true, i64::MIN, (100, true)),
            (1, false, i64::MIN, (100, true)),
        ];
        for (weight, reverse, number, expected) in rows {
            let row = (weight, reverse, number);
            assert_eq!(alone(weight, reverse, Number(number)), expected, "{row:?}");
        }
    }

    #[test]
    fn contributions_add_up_before_they_are_clamped() {
        let objects = ["a", "b", "c"].map(script);
        let states = |object: &Object| match object {
            Object::Script(name) if name == "c" => Bad,
            _ => Good,
        };
        let [a, b, c] = objects;
        let config = router(100, &[(a, 200, false), (b, 100, true), (c, -20, false)]);
        let done = assess(&config, &states);
        let adds: Vec<i32> = done.priority.parts.iter().map(|p| p.adds).collect();
        assert_eq!(adds, [200, -100, -20]);
        assert_eq!(done.priority.effective, 180);
        assert_eq!(done.priority.configured, 100);
        assert!(done.faults.is_empty() && !done.waiting);
    }

    #[test]
    fn a_file_adds_so_much_at_most() {
        let file = Object::File("f".to_owned());
        let config = router(100, &[(file, 10, false), (script("s"), -200, false)]);
        let done = assess(&config, &|object| match object {
            Object::File(_) => Number(100),
            _ => Bad,
        });
        assert_eq!(done.priority.effective, 153);
    }

    #[test]
    fn an_owner_knows_no_weights() {
        let config = router(
            255,
            &[
                (script("s"), -50, false),
                (Object::File("f".to_owned()), 1, false),
                (Object::Interface("eth0".to_owned()), 0, false),
            ],
        );
        let states = |object: &Object| match object {
            Object::File(_) => Number(-1000),
            _ => Bad,
        };
        let done = assess(&config, &states);
        assert_eq!(done.priority.effective, 255);
        assert!(done.priority.parts.iter().all(|p| p.adds == 0));
        let link = Cause::Object(Object::Interface("eth0".to_owned()));
        assert_eq!(done.faults, [link]);
    }

    #[test]
    fn causes_say_what_and_how() {
        let file = Object::File("f".to_owned());
        let list = [
            (script("bad"), 0, false),
            (script("good"), 0, true),
            (file.clone(), 1, false),
        ];
        let states = |object: &Object| match object {
            Object::File(_) => Number(-254),
            Object::Script(name) if name == "good" => Good,
            _ => Bad,
        };
        let causes = [
            Cause::Object(script("bad")),
            Cause::Reversed(script("good")),
            Cause::FileTooLow(file),
        ];
        assert_eq!(assess(&router(100, &list), &states).faults, causes);
    }

    #[test]
    fn only_what_decides_is_waited_for() {
        let waiting = |weight, state| {
            let config = router(100, &[(script("s"), weight, false)]);
            assess(&config, &|_| state).waiting
        };
        assert!(waiting(0, Unknown));
        assert!(!waiting(0, Good) && !waiting(0, Bad));
        assert!(!waiting(10, Unknown) && !waiting(-10, Unknown));
    }
}
