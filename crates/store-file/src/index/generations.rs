use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

/// What was put in, or asked for, of late.
///
/// Two generations: when the young one is full it becomes the old one, and what was old is let go.
/// What is asked for can be made young again.
#[derive(Debug)]
pub(super) struct Generations<K, V> {
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
    /// How many make a generation.
    most: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// Of so many each.
    pub(super) fn of(most: usize) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            most,
        }
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// The same, and makes it young again.
    pub(super) fn renew(&mut self, key: K) -> Option<V>
    where
        V: Clone,
    {
        if let Some(value) = self.young.get(&key) {
            return Some(value.clone());
        }
        let value = self.old.remove(&key)?;
        self.put(key, value.clone());
        Some(value)
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Lets go of what is not to be kept.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&K) -> bool) {
        for generation in [&mut self.young, &mut self.old] {
            generation.retain(|key, _| is_kept(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_what_is_not_goes() {
        let mut generations = Generations::of(2);
        let kept = |generations: &Generations<u8, u8>| {
            let keys = 0..8;
            Vec::from_iter(keys.filter(|key| generations.get(key).is_some()))
        };
        for key in 0..4 {
            generations.put(key, 0);
        }
        assert_eq!(kept(&generations), [0, 1, 2, 3]);
        assert_eq!(generations.renew(1), Some(0));
        assert_eq!(kept(&generations), [1, 2, 3]);
        generations.put(1, 9);
        generations.put(4, 0);
        generations.put(5, 0);
        assert_eq!(kept(&generations), [1, 4, 5]);
        assert_eq!(generations.renew(1), Some(9), "the latest");
        generations.retain(|&key| key != 4);
        assert_eq!(kept(&generations), [1, 5]);
    }
}
