//! The process, killed between any two of its steps.

use super::*;
use crate::yielding::Yielding;

/// Polls a processor so often, and kills it.
fn live_for(polls: usize, processor: Processor<Fulfilment>) -> Option<Result<(), ProcessError>> {
    let mut running = pin!(processor.run());
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(outcome) = running.as_mut().poll(&mut context) {
            return Some(outcome);
        }
    }
    None
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Place(u8),
    Pay(u8),
    Wait,
    Live(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..4u8).prop_map(Act::Place),
        (0..4u8).prop_map(Act::Pay),
        Just(Act::Wait),
        (1..30usize).prop_map(Act::Live),
        (1..4usize).prop_map(Act::Live),
    ];
    prop::collection::vec(act, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However often a process is killed between any two steps, in the end each order that
    /// was paid in time is shipped or cancelled once, and each other is cancelled once.
    #[test]
    fn a_process_that_is_killed_anywhere_does_each_thing_once(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let store = MemoryStore::new();
        block_on(stock(&store, "pen", 3));
        let clock = now();
        let shop = shop(store.clone());
        for act in acts {
            match act {
                Act::Place(order) => {
                    let _refused = block_on(shop.execute::<Shop>(place(&order.to_string(), "pen")));
                }
                Act::Pay(order) => {
                    let _refused = block_on(shop.execute::<Shop>(pay(&order.to_string(), "pen")));
                }
                Act::Wait => clock.advance(IN_TIME / 2),
                Act::Live(polls) => {
                    let outcome = live_for(polls, processor(Yielding(store.clone()), &clock));
                    prop_assert!(outcome.is_none(), "{outcome:?}");
                }
            }
        }
        for _ in 0..3 {
            clock.advance(IN_TIME);
            live_for(2_000, processor(Yielding(store.clone()), &clock));
        }
        let (orders, free) = block_on(told(&store));
        let mut sold = 0;
        for (order, told) in &orders {
            let ends: Vec<_> = told.iter().filter(|name| {
                matches!(name.as_str(), "order-shipped" | "order-cancelled")
            }).collect();
            prop_assert_eq!(ends.len(), 1, "{} {:?}", order, told);
            sold += u32::from(ends[0] == "order-shipped");
        }
        if let Some(free) = free.get("pen") {
            prop_assert_eq!(*free, 3 - sold);
        }
        // Each thing that happened is written down once, by whichever processor.
        let mut causes = block_on(causes(&store));
        let count = causes.len();
        causes.dedup();
        prop_assert_eq!(causes.len(), count);
    }
}
