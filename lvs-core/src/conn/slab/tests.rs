use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::conn::tests::conn;
use crate::time::Time;

/// A record that can be told from others.
fn marked(mark: u64) -> Conn {
    conn(Time::from_millis(mark))
}

proptest! {
    /// Against a hash map, over more than one chunk: what was put in is found until it is taken out.
    #[test]
    fn keeps_what_a_map_would(
        first in 0usize..2 * CHUNK,
        ops in prop::collection::vec(any::<Option<prop::sample::Index>>(), 0..200),
    ) {
        let (mut slab, mut model) = (Slab::default(), HashMap::new());
        let mut mark = 0;
        let inserts = std::iter::repeat_n(None, first);
        for op in inserts.chain(ops) {
            match op {
                None => {
                    mark += 1;
                    let id = slab.insert(marked(mark)).unwrap();
                    prop_assert!(model.insert(id.0, mark).is_none(), "{id:?} given twice");
                }
                Some(i) if slab.end() > 0 => {
                    let id = Id(i.index(slab.end()) as u32);
                    let taken = slab.remove(id).map(|c| c.deadline.as_millis());
                    prop_assert_eq!(taken, model.remove(&id.0));
                }
                Some(_) => {}
            }
            prop_assert_eq!(slab.len(), model.len());
        }
        for i in 0..slab.end() as u32 + 2 {
            let found = slab.get(Id(i)).map(|c| c.deadline.as_millis());
            prop_assert_eq!(found, model.get(&i).copied());
        }
    }
}

#[test]
fn numbers_are_used_again_and_growing_moves_nothing() {
    let mut slab = Slab::default();
    let a = slab.insert(marked(1)).unwrap();
    let b = slab.insert(marked(2)).unwrap();
    let address: *const Conn = slab.get(b).unwrap();
    slab.remove(a);
    assert!(slab.remove(a).is_none());
    assert_eq!(slab.insert(marked(3)), Some(a));
    for n in 0..3 * CHUNK as u64 {
        slab.insert(marked(n)).unwrap();
    }
    assert!(std::ptr::eq(address, slab.get(b).unwrap()));
    assert_eq!(slab.end(), 2 + 3 * CHUNK);
}
