//! Clients that come, read, do not read and leave as chance has it.

use std::num::NonZeroUsize;
use std::time::Duration;

use eventwire_feed::{FeedOptions, Follow, From};
use eventwire_store::{EventType, Query};
use proptest::prelude::*;
use tokio::time::sleep;

use super::world::{Client, World, of_stream, paused, settle};

#[derive(Debug, Clone)]
enum Step {
    Append {
        is_of_a: bool,
        count: usize,
    },
    Connect {
        wants: usize,
        is_live: bool,
        room: usize,
    },
    Read {
        who: prop::sample::Index,
        most: usize,
    },
    Leave {
        who: prop::sample::Index,
    },
    Settle,
    Pass {
        seconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = any::<prop::sample::Index>;
    prop_oneof![
        6 => (any::<bool>(), 1..20_usize)
            .prop_map(|(is_of_a, count)| Step::Append { is_of_a, count }),
        3 => (0..4_usize, any::<bool>(), prop_oneof![1..200_usize, 2000..9000_usize])
            .prop_map(|(wants, is_live, room)| Step::Connect { wants, is_live, room }),
        6 => (who(), 1..3000_usize).prop_map(|(who, most)| Step::Read { who, most }),
        1 => who().prop_map(|who| Step::Leave { who }),
        6 => Just(Step::Settle),
        1 => (1..4_u64).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

/// What one client is to get.
struct Expected {
    client: Client,
    wants: usize,
    /// Only events after so many are to come; those up to then may.
    after: u32,
    is_live: bool,
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let ring = NonZeroUsize::new(16).unwrap();
    let mut world = World::new(FeedOptions::default().ring(ring)).await;
    let queries = [
        Query::all(),
        of_stream("a"),
        of_stream("b").of_types([EventType::new("t").unwrap()]),
        of_stream("a").or(of_stream("b")),
    ];
    let mut of_streams = [Vec::new(), Vec::new()];
    let mut clients: Vec<Expected> = Vec::new();
    for step in steps {
        match step {
            Step::Append { is_of_a, count } => {
                let first = world.appended + 1;
                world.append(if is_of_a { "a" } else { "b" }, count).await;
                of_streams[usize::from(!is_of_a)].extend(first..=world.appended);
            }
            Step::Connect {
                wants,
                is_live,
                room,
            } => {
                let from = if is_live { From::End } else { From::Beginning };
                let follow = Follow::new(queries[wants].clone()).from(from);
                let client = world.connect(follow, room, Duration::from_millis(1500));
                // Where a live stream begins is not left to chance.
                settle().await;
                clients.push(Expected {
                    client,
                    wants,
                    after: world.appended,
                    is_live,
                });
            }
            Step::Read { who, most } if !clients.is_empty() => {
                who.get_mut_in(&mut clients).client.read(most);
            }
            Step::Leave { who } if !clients.is_empty() => {
                let at = who.index(clients.len());
                clients.swap_remove(at);
            }
            Step::Settle => settle().await,
            Step::Pass { seconds } => sleep(Duration::from_secs(seconds)).await,
            _ => {}
        }
    }
    let everything: Vec<u32> = (1..=world.appended).collect();
    for expected in &mut clients {
        let Expected {
            client,
            wants,
            after,
            is_live,
        } = expected;
        client.read_all().await;
        let all = [&everything, &of_streams[0], &of_streams[1], &everything][*wants];
        let after = if *is_live { *after } else { 0 };
        let wanted: Vec<u32> = all
            .iter()
            .copied()
            .filter(|number| *number > after)
            .collect();
        prop_assert_eq!(client.numbers(), wanted);
    }
    settle().await;
    prop_assert_eq!(world.open(), clients.len());
    world.feed.close().await;
    for expected in &mut clients {
        expected.client.read_all().await;
        prop_assert!(expected.client.blocks().1, "it ends with the last chunk");
        prop_assert!(expected.client.is_ended, "nothing more is written");
    }
    // Those who do not close their side are not waited for.
    sleep(Duration::from_secs(1)).await;
    prop_assert_eq!(world.open(), 0);
    Ok(())
}

trait GetMutIn {
    fn get_mut_in<'a, T>(&self, of: &'a mut [T]) -> &'a mut T;
}

impl GetMutIn for prop::sample::Index {
    fn get_mut_in<'a, T>(&self, of: &'a mut [T]) -> &'a mut T {
        let at = self.index(of.len());
        &mut of[at]
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn each_client_gets_what_it_wants_once_and_in_order(steps in prop::collection::vec(step(), 0..60)) {
        paused().block_on(run(steps))?;
    }
}
