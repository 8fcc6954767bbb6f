use std::cmp::Reverse;
use std::collections::VecDeque;
use std::iter::Peekable;

use crate::memory::held::Held;

/// The places at which a query's matches can be: all of those are among them, perhaps with others.
pub(super) struct Candidates<'a> {
    held: &'a Held,
    lists: Lists<'a>,
    /// Whether there are no others.
    pub(super) are_matches: bool,
}

enum Lists<'a> {
    /// The whole log.
    Log,
    One(&'a VecDeque<u64>),
    Many(Vec<&'a VecDeque<u64>>),
}

impl<'a> Candidates<'a> {
    /// Nowhere yet.
    pub(super) const fn none(held: &'a Held) -> Self {
        Self {
            held,
            lists: Lists::Many(Vec::new()),
            are_matches: true,
        }
    }

    /// At every held place.
    pub(super) const fn log(held: &'a Held, are_matches: bool) -> Self {
        Self {
            held,
            lists: Lists::Log,
            are_matches,
        }
    }

    /// At the rising places of this list as well.
    pub(super) fn add(&mut self, list: &'a VecDeque<u64>) {
        match &mut self.lists {
            Lists::Log => {}
            Lists::One(first) => self.lists = Lists::Many(vec![first, list]),
            Lists::Many(lists) if lists.is_empty() => self.lists = Lists::One(list),
            Lists::Many(lists) => lists.push(list),
        }
    }

    /// The places at and above `from`, rising, each once.
    pub(super) fn rising(&self, from: u64) -> impl Iterator<Item = u64> {
        let part = move |list: &'a VecDeque<u64>| {
            let start = list.partition_point(|&place| place < from);
            list.range(start..).copied()
        };
        match &self.lists {
            Lists::Log => Places::Log(self.held.places_from(from)),
            Lists::One(list) => Places::One(part(list)),
            Lists::Many(lists) => Places::Many(Merged::new(lists.iter().copied().map(part))),
        }
    }

    /// The places below `end`, falling, each once.
    pub(super) fn falling(&self, end: u64) -> impl Iterator<Item = u64> {
        let part = move |list: &'a VecDeque<u64>| {
            let end = list.partition_point(|&place| place < end);
            list.range(..end).rev().copied().map(Reverse)
        };
        let places = match &self.lists {
            Lists::Log => Places::Log(self.held.places_below(end).map(Reverse)),
            Lists::One(list) => Places::One(part(list)),
            Lists::Many(lists) => Places::Many(Merged::new(lists.iter().copied().map(part))),
        };
        places.map(|Reverse(place)| place)
    }
}

/// An iterator of one of three kinds.
enum Places<L, O, M> {
    Log(L),
    One(O),
    Many(M),
}

impl<P, L, O, M> Iterator for Places<L, O, M>
where
    L: Iterator<Item = P>,
    O: Iterator<Item = P>,
    M: Iterator<Item = P>,
{
    type Item = P;

    fn next(&mut self) -> Option<P> {
        match self {
            Self::Log(places) => places.next(),
            Self::One(places) => places.next(),
            Self::Many(places) => places.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Log(places) => places.size_hint(),
            Self::One(places) => places.size_hint(),
            Self::Many(places) => places.size_hint(),
        }
    }
}

/// Several rising iterators as one, without what is in several of them twice.
struct Merged<I: Iterator> {
    parts: Vec<Peekable<I>>,
}

impl<I: Iterator<Item: Ord + Copy>> Merged<I> {
    fn new(parts: impl Iterator<Item = I>) -> Self {
        Self {
            parts: parts.map(Iterator::peekable).collect(),
        }
    }
}

impl<I: Iterator<Item: Ord + Copy>> Iterator for Merged<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let heads = self.parts.iter_mut().filter_map(Peekable::peek);
        let least = heads.min().copied()?;
        for part in &mut self.parts {
            part.next_if_eq(&least);
        }
        Some(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_gone_through_as_one_from_any_place_either_way() {
        let lists = [vec![1, 4, 9], vec![], vec![2, 4, 8, 9], vec![4]].map(VecDeque::from);
        let held = Held::default();
        for count in 0..=lists.len() {
            let mut candidates = Candidates::none(&held);
            lists[..count].iter().for_each(|list| candidates.add(list));
            let mut places: Vec<u64> = lists[..count].iter().flatten().copied().collect();
            places.sort_unstable();
            places.dedup();
            for at in 0..=10 {
                let above = places.iter().copied().filter(|&place| place >= at);
                assert!(candidates.rising(at).eq(above), "{count} lists from {at}");
                let below = places.iter().rev().copied().filter(|&place| place < at);
                assert!(candidates.falling(at).eq(below), "{count} lists below {at}");
            }
        }
    }
}
