use std::ops::Range;

/// Which indexes of a segment that is still written to are to be merged next, given how many
/// events are in each, oldest first.
///
/// An index is of the tier of the largest that is as young or younger, so that tiers fall from
/// the oldest to the youngest; as many of one tier as `fan` are merged. So at most `fan - 1` are
/// left of each tier, and there are as many tiers as powers of `fan` in the largest. What is in
/// an index is written again once for each of its tiers.
pub(crate) fn due(events: &[u64], fan: usize) -> Option<Range<usize>> {
    let base = u64::try_from(fan).expect("it is small");
    let mut tier = 0;
    let mut tiers: Vec<u32> = events
        .iter()
        .rev()
        .map(|&events| {
            tier = tier.max(events.max(1).ilog(base));
            tier
        })
        .collect();
    tiers.reverse();
    let mut end = tiers.len();
    while let Some(&tier) = tiers[..end].last() {
        let begin = tiers.partition_point(|&older| older > tier);
        if end - begin >= fan {
            return Some(begin..end);
        }
        end = begin;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn eight_of_a_tier_are_merged() {
        for (events, expected) in [
            (&[][..], None),
            (&[100; 7], None),
            (&[100; 8], Some(0..8)),
            (&[5000, 100, 100, 100, 100, 100, 100, 100, 100], Some(1..9)),
            // Small ones between large ones do not add up for ever.
            (&[9, 900, 9, 900, 9, 900, 9, 900], Some(0..8)),
        ] {
            assert_eq!(due(events, 8), expected, "{events:?}");
        }
    }

    proptest! {
        #[test]
        fn few_are_left_whatever_comes(sizes in proptest::collection::vec(1u64..100_000, 0..400)) {
            let mut events: Vec<u64> = Vec::new();
            for size in sizes {
                events.push(size);
                while let Some(merged) = due(&events, 8) {
                    let sum = events[merged.clone()].iter().sum();
                    events.splice(merged, [sum]);
                }
                let largest = events.iter().max().map_or(0, |&most| most.ilog(8));
                prop_assert!(events.len() <= 7 * (usize::try_from(largest).unwrap() + 1));
            }
        }
    }
}
