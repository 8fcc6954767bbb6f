//! What the process does, and when.

use super::*;
use crate::traced::traced;

#[tokio::test]
async fn what_is_paid_is_shipped_and_what_is_not_is_cancelled_when_its_time_comes() {
    let store = MemoryStore::new();
    stock(&store, "pen", 10).await;
    stock(&store, "anvil", 10).await;
    let clock = now();
    let processor = processor(store.clone(), &clock);
    let steering = processor.steering();
    let running = tokio::spawn(processor.run());
    let shop = shop(store.clone());
    for (order, sku) in [("1", "pen"), ("2", "pen"), ("3", "anvil")] {
        shop.execute::<Shop>(place(order, sku)).await.unwrap();
    }
    settle().await;
    shop.execute::<Shop>(pay("1", "pen")).await.unwrap();
    shop.execute::<Shop>(pay("3", "anvil")).await.unwrap();
    settle().await;
    let (orders, free) = told(&store).await;
    assert_eq!(orders["1"], ["order-placed", "order-paid", "order-shipped"]);
    assert_eq!(orders["2"], ["order-placed"]);
    // Refused, and so cancelled with what the refusal says.
    assert_eq!(
        orders["3"],
        ["order-placed", "order-paid", "order-cancelled"]
    );
    assert_eq!((free["pen"], free["anvil"]), (8, 10));

    clock.advance(IN_TIME - Duration::from_secs(60));
    settle().await;
    assert_eq!(told(&store).await.0["2"].len(), 1);
    clock.advance(Duration::from_secs(120));
    settle().await;
    let (orders, free) = told(&store).await;
    assert_eq!(orders["2"], ["order-placed", "order-cancelled"]);
    assert_eq!(orders["1"].len(), 3);
    assert_eq!(free["pen"], 9);
    steering.stop().await;
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_stops_politely_forgets_no_reminder_and_rereads_no_order_that_is_done() {
    let store = MemoryStore::new();
    stock(&store, "pen", 500).await;
    let clock = now();
    let shop = shop(store.clone());
    let live = async |store: &MemoryStore| {
        let processor = processor(store.clone(), &clock);
        let steering = processor.steering();
        let running = tokio::spawn(processor.run());
        for _ in 0..10 {
            settle().await;
        }
        steering.stop().await;
        running.await.unwrap().unwrap();
    };
    let kept = async |store: &MemoryStore| {
        let agenda = Consumer::new("agenda.fulfilment").unwrap();
        store.checkpoint(agenda).await.unwrap()
    };
    for order in 0..60 {
        let order = order.to_string();
        shop.execute::<Shop>(place(&order, "pen")).await.unwrap();
        shop.execute::<Shop>(pay(&order, "pen")).await.unwrap();
    }
    live(&store).await;
    let done = kept(&store).await;
    assert!(done > Position::ORIGIN);
    shop.execute::<Shop>(place("late", "pen")).await.unwrap();
    live(&store).await;
    // The reminder of the last order is all that is still to be done.
    let waiting = kept(&store).await;
    assert!(waiting >= done && waiting < store.head().await.unwrap());

    clock.advance(IN_TIME * 2);
    live(&store).await;
    let (orders, free) = told(&store).await;
    assert_eq!(orders["late"], ["order-placed", "order-cancelled"]);
    assert_eq!((orders.len(), free["pen"]), (61, 440));
    assert!(kept(&store).await > waiting);
}

#[tokio::test]
async fn a_deadline_outlives_the_process_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let clock = now();
    let open = || FileStore::open(directory.path()).unwrap();
    {
        let store = open();
        stock(&store, "pen", 5).await;
        let shop = shop(store.clone());
        for order in ["1", "2", "3"] {
            shop.execute::<Shop>(place(order, "pen")).await.unwrap();
        }
        let running = tokio::spawn(processor(store.clone(), &clock).run());
        let reminded = Query::tags([Tag::new("process:fulfilment").unwrap()]);
        let mut records = store.subscribe(reminded, Start::Beginning);
        let mut count = 0;
        while count < 3 {
            count += usize::from(matches!(records.next().await, Some(Ok(Item::Event(_)))));
        }
        // Killed where it stands, with everything it holds.
        running.abort();
        let _killed = running.await;
        shop.execute::<Shop>(pay("2", "pen")).await.unwrap();
        store.close();
    }
    clock.advance(IN_TIME * 2);
    let store = open();
    let processor = processor(store.clone(), &clock);
    let steering = processor.steering();
    let running = tokio::spawn(processor.run());
    let cancelled = Query::types(
        ["order-cancelled", "order-shipped"]
            .map(|name| eventwire_store::EventType::new(name).unwrap()),
    );
    let mut ends = store.subscribe(cancelled, Start::Beginning);
    let mut count = 0;
    while count < 3 {
        count += usize::from(matches!(ends.next().await, Some(Ok(Item::Event(_)))));
    }
    steering.stop().await;
    running.await.unwrap().unwrap();
    let (orders, free) = told(&store).await;
    assert_eq!(orders.len(), 3, "{orders:?}");
    assert_eq!(orders["1"], ["order-placed", "order-cancelled"]);
    assert_eq!(orders["3"], ["order-placed", "order-cancelled"]);
    // Its time had come as well, but so had its payment: once ended, it stays ended.
    assert_eq!(orders["2"].len(), 3, "{orders:?}");
    let sold = orders
        .values()
        .filter(|told| told.contains(&"order-shipped".to_owned()));
    assert_eq!(free["pen"], 5 - u32::try_from(sold.count()).unwrap());
}

#[tokio::test]
async fn a_deadline_counts_from_when_its_event_was_recorded() {
    let store = MemoryStore::new();
    stock(&store, "pen", 9).await;
    let clock = now();
    let shop = shop(store.clone());
    shop.execute::<Shop>(place("1", "pen")).await.unwrap();
    // Nobody processes it for most of the time that it has.
    clock.advance(IN_TIME - Duration::from_secs(60));
    let processor = processor(store.clone(), &clock);
    let steering = processor.steering();
    let running = tokio::spawn(processor.run());
    settle().await;
    assert_eq!(told(&store).await.0["1"], ["order-placed"]);
    clock.advance(Duration::from_secs(120));
    settle().await;
    let (orders, _) = told(&store).await;
    assert_eq!(orders["1"], ["order-placed", "order-cancelled"]);
    steering.stop().await;
    running.await.unwrap().unwrap();
}

#[test]
fn a_span_says_what_happened_to_which_instance() {
    let text = traced(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let store = MemoryStore::new();
            stock(&store, "pen", 9).await;
            let shop = shop(store.clone());
            for command in [place("1", "pen"), pay("1", "pen"), place("2", "pen")] {
                shop.execute::<Shop>(command).await.unwrap();
            }
            let clock = now();
            let processor = processor(store, &clock);
            let steering = processor.steering();
            let running = tokio::spawn(processor.run());
            settle().await;
            clock.advance(IN_TIME * 2);
            settle().await;
            steering.stop().await;
            running.await.unwrap().unwrap();
        });
    });
    let times = |instance: &str, cause: &str| {
        let span = format!(r#"process{{name="fulfilment" instance="{instance}" cause="{cause}"}}"#);
        text.lines().filter(|line| line.contains(&span)).count()
    };
    // Placed, paid and shipped; the shipping was asked for.
    let first = ["event", "reminder", "answer"].map(|cause| times("1", cause));
    assert_eq!(first, [3, 0, 1], "{text}");
    // Placed and cancelled; the cancelling was asked for when its time had come.
    let second = ["event", "reminder", "answer"].map(|cause| times("2", cause));
    assert_eq!(second, [2, 1, 1], "{text}");
}
