//! Several who carry on the same process, and what stops one.

use super::*;
use crate::yielding::Yielding;

#[tokio::test]
async fn two_who_process_the_same_do_each_thing_once() {
    let store = Yielding(MemoryStore::new());
    stock(&store, "pen", 100).await;
    let clock = SimulatedClock::hasty();
    let processors = [(); 2].map(|()| processor(store.clone(), &clock));
    let steerings = processors.each_ref().map(Processor::steering);
    let running = processors.map(|processor| tokio::spawn(processor.run()));
    let shop = shop(store.clone());
    for order in 0..20 {
        let order = order.to_string();
        shop.execute::<Shop>(place(&order, "pen")).await.unwrap();
        shop.execute::<Shop>(pay(&order, "pen")).await.unwrap();
    }
    for _ in 0..50 {
        settle().await;
    }
    for steering in steerings {
        steering.stop().await;
    }
    for running in running {
        running.await.unwrap().unwrap();
    }
    let (orders, free) = told(&store).await;
    assert_eq!(orders.len(), 20);
    for told in orders.values() {
        assert_eq!(*told, ["order-placed", "order-paid", "order-shipped"]);
    }
    assert_eq!(free["pen"], 80);
    let mut causes = causes(&store).await;
    // Placed, paid, shipped and that this was answered.
    assert_eq!(causes.len(), 4 * 20);
    causes.dedup();
    assert_eq!(causes.len(), 4 * 20);
}

#[tokio::test]
async fn with_a_lease_one_works_and_the_other_takes_over() {
    let store = MemoryStore::new();
    stock(&store, "pen", 9).await;
    let clock = now();
    let lease = |worker: &str| {
        Lease::new(store.clone(), "fulfilment", worker)
            .unwrap()
            .clock(clock.clone())
    };
    let first = processor(store.clone(), &clock).lease(lease("first"));
    let first = tokio::spawn(first.run());
    settle().await;
    let second = processor(store.clone(), &clock).lease(lease("second"));
    let steering = second.steering();
    let second = tokio::spawn(second.run());
    let shop = shop(store.clone());
    shop.execute::<Shop>(place("1", "pen")).await.unwrap();
    settle().await;
    first.abort();
    shop.execute::<Shop>(pay("1", "pen")).await.unwrap();
    settle().await;
    assert_eq!(told(&store).await.0["1"].len(), 2);
    clock.advance(Duration::from_secs(31));
    settle().await;
    assert_eq!(told(&store).await.0["1"].len(), 3);
    steering.stop().await;
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_command_that_nobody_knows_is_a_refusal_and_a_closed_store_is_not() {
    let store = MemoryStore::new();
    stock(&store, "pen", 9).await;
    shop(store.clone())
        .execute::<Shop>(place("1", "pen"))
        .await
        .unwrap();
    shop(store.clone())
        .execute::<Shop>(pay("1", "pen"))
        .await
        .unwrap();
    let nobody = Dispatcher::builder(store.clone()).build();
    let processor = Processor::<Fulfilment>::new(store.clone(), nobody).clock(now());
    let steering = processor.steering();
    let running = tokio::spawn(processor.run());
    settle().await;
    steering.stop().await;
    running.await.unwrap().unwrap();
    // Both the shipping and the cancelling were refused, and written down as such.
    let stream = Query::stream(StreamName::new("process.fulfilment-1").unwrap());
    let mut items = store.read(stream, ReadOptions::all());
    let mut count = 0;
    while let Some(item) = items.next().await {
        count += usize::from(matches!(item.unwrap(), Item::Event(_)));
    }
    assert_eq!(count, 4);

    let closed = MemoryStore::new();
    let processor = Processor::<Fulfilment>::new(closed.clone(), shop(closed.clone())).clock(now());
    closed.close();
    assert!(processor.run().await.is_err());
    let request = CommandRequest::new("place-order", "{}");
    assert!(shop(closed).dispatch(request).await.is_err());
}
