/// Whom a group writes to, and to whom it has yet to write what it holds.
///
/// ```text
///   keys: | have it | are due |
///         0 ..      done ..   len
/// ```
///
/// Everyone has a place, which changes when others leave: the calls that move someone say so.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    keys: Vec<usize>,
    /// Invariant: at most the length of `keys`.
    done: usize,
}

impl Roll {
    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.keys.len()).expect("a process has fewer sockets")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds one who has what the others have; its place.
    ///
    /// # Panics
    /// In debug builds, while someone is due.
    pub(crate) fn add(&mut self, key: usize) -> usize {
        debug_assert_eq!(self.done, self.keys.len(), "nobody joins while one is due");
        self.keys.push(key);
        self.done = self.keys.len();
        self.done - 1
    }

    /// From here on everyone is due.
    pub(crate) fn begin(&mut self) {
        self.done = 0;
    }

    /// The next who is due.
    pub(crate) fn due(&self) -> Option<usize> {
        self.keys.get(self.done).copied()
    }

    /// Whether the one at a place is due.
    pub(crate) fn is_due(&self, place: usize) -> bool {
        place >= self.done
    }

    /// The next who was due has got it.
    pub(crate) fn pass(&mut self) {
        self.done += 1;
    }

    /// Takes the one at a place off; `moved` is told who has another place now.
    pub(crate) fn remove(&mut self, place: usize, mut moved: impl FnMut(usize, usize)) {
        let mut hole = place;
        if place < self.done {
            // The last who has it takes the place, and leaves the hole at the border.
            self.done -= 1;
            hole = self.done;
            self.keys.swap(place, hole);
            if place != hole {
                moved(self.keys[place], place);
            }
        }
        self.keys.swap_remove(hole);
        if let Some(key) = self.keys.get(hole) {
            moved(*key, hole);
        }
        if self.keys.len() * 4 < self.keys.capacity() {
            self.keys.shrink_to(self.keys.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Add,
        Begin,
        Pass,
        Remove(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Add),
            1 => Just(Step::Begin),
            4 => Just(Step::Pass),
            3 => any::<prop::sample::Index>().prop_map(Step::Remove),
        ]
    }

    proptest! {
        #[test]
        fn everyone_who_stays_gets_it_once(steps in prop::collection::vec(step(), 0..200)) {
            let mut roll = Roll::default();
            let mut places = BTreeMap::new();
            let mut due = BTreeSet::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Add if due.is_empty() => {
                        places.insert(number, roll.add(number));
                    }
                    Step::Begin if due.is_empty() => {
                        roll.begin();
                        due.extend(places.keys().copied());
                    }
                    Step::Pass => {
                        if let Some(key) = roll.due() {
                            roll.pass();
                            prop_assert!(due.remove(&key));
                        }
                    }
                    Step::Remove(index) if !places.is_empty() => {
                        let at = index.index(places.len());
                        let (key, place) = places.iter().nth(at).map(|(key, place)| (*key, *place)).unwrap();
                        places.remove(&key);
                        due.remove(&key);
                        roll.remove(place, |key, place| {
                            places.insert(key, place);
                        });
                    }
                    _ => {}
                }
                prop_assert_eq!(roll.due().is_none(), due.is_empty());
                for (key, place) in &places {
                    prop_assert_eq!(roll.keys[*place], *key);
                    prop_assert_eq!(roll.is_due(*place), due.contains(key));
                }
                prop_assert_eq!(roll.keys.len(), places.len());
            }
        }
    }
}
