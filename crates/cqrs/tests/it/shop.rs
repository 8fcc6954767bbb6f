//! A shop: orders and stock decided together, coupons that are good for one order, and a
//! process that ships what is paid and cancels what is not paid in time.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use eventwire_cqrs::process::{Happened, Process, ProcessError, Processor, Reaction};
use eventwire_cqrs::testing::{SimulatedClock, folded, history, played};
use eventwire_cqrs::{
    Backoff, Boundary, CommandRequest, Decision, Dispatcher, DomainEvent, Facts, Fold, Lease,
};
use eventwire_store::{
    Append, AppendError, Appended, Capabilities, CheckpointStore, Consumer, Epoch, EventStore,
    EventStream, IdempotencyKey, Item, KeepError, MemoryStore, NameError, Position, Query,
    ReadError, ReadOptions, Recalled, RecordedEvent, Start, StoreFuture, StreamName, Tag,
};
use eventwire_store_file::FileStore;
use futures_executor::block_on;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

const IN_TIME: Duration = Duration::from_secs(1_800);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::enum_variant_names,
    reason = "a type's name stands alone in the log"
)]
enum OrderEvent {
    OrderPlaced {
        order: String,
        sku: String,
        coupon: Option<String>,
    },
    OrderPaid {
        order: String,
    },
    OrderShipped {
        order: String,
    },
    OrderCancelled {
        order: String,
        why: String,
    },
}

impl DomainEvent for OrderEvent {
    fn tags(&self) -> Result<Vec<Tag>, NameError> {
        match self {
            Self::OrderPlaced {
                coupon: Some(coupon),
                ..
            } => Ok(vec![coupon_tag(coupon)?]),
            _ => Ok(Vec::new()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StockEvent {
    Stocked { count: u32 },
    Reserved { order: String },
    Released { order: String },
}

impl DomainEvent for StockEvent {}

#[derive(Debug, Default, PartialEq)]
struct Order {
    sku: String,
    is_placed: bool,
    is_paid: bool,
    has_ended: bool,
}

impl Fold for Order {
    type Event = OrderEvent;

    fn evolve(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::OrderPlaced { sku, .. } => {
                self.is_placed = true;
                self.sku.clone_from(sku);
            }
            OrderEvent::OrderPaid { .. } => self.is_paid = true,
            OrderEvent::OrderShipped { .. } | OrderEvent::OrderCancelled { .. } => {
                assert!(!self.has_ended, "an order ends once");
                self.has_ended = true;
            }
        }
    }
}

#[derive(Debug, Default)]
struct Stock {
    free: u32,
}

impl Fold for Stock {
    type Event = StockEvent;

    fn evolve(&mut self, event: &StockEvent) {
        match event {
            StockEvent::Stocked { count } => self.free += count,
            StockEvent::Reserved { .. } => self.free -= 1,
            StockEvent::Released { .. } => self.free += 1,
        }
    }
}

/// Whether a coupon was used, in whatever order.
#[derive(Debug, Default)]
struct Coupon {
    is_used: bool,
}

impl Fold for Coupon {
    type Event = OrderEvent;

    fn evolve(&mut self, _: &OrderEvent) {
        self.is_used = true;
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::enum_variant_names,
    reason = "a command's name stands alone in a request"
)]
enum ShopCommand {
    PlaceOrder {
        order: String,
        sku: String,
        coupon: Option<String>,
    },
    PayOrder {
        order: String,
        sku: String,
    },
    ShipOrder {
        order: String,
        sku: String,
    },
    CancelOrder {
        order: String,
        sku: String,
        why: String,
    },
}

#[derive(Debug, PartialEq, Error)]
enum No {
    #[error("there is none left")]
    SoldOut,
    #[error("the coupon was used")]
    CouponUsed,
    #[error("the order is not one this can be done to")]
    NotNow,
    #[error("it is too heavy")]
    TooHeavy,
}

fn order_stream(order: &str) -> Result<StreamName, NameError> {
    StreamName::new(format!("order-{order}"))
}

fn stock_stream(sku: &str) -> Result<StreamName, NameError> {
    StreamName::new(format!("stock-{sku}"))
}

fn coupon_tag(coupon: &str) -> Result<Tag, NameError> {
    Tag::new(format!("coupon:{coupon}"))
}

#[derive(Debug)]
struct Shop;

impl Decision for Shop {
    type Command = ShopCommand;
    type States = (Order, Stock, Coupon);
    type Refusal = No;

    fn boundaries(command: &ShopCommand) -> Result<[Boundary; 3], NameError> {
        let (order, sku, coupon) = match command {
            ShopCommand::PlaceOrder { order, sku, coupon } => (order, sku, coupon.as_deref()),
            ShopCommand::PayOrder { order, sku }
            | ShopCommand::ShipOrder { order, sku }
            | ShopCommand::CancelOrder { order, sku, .. } => (order, sku, None),
        };
        let coupon = match coupon {
            Some(coupon) => Query::tags([coupon_tag(coupon)?]),
            None => Query::streams([]),
        };
        Ok([
            Boundary::stream(order_stream(order)?),
            Boundary::stream(stock_stream(sku)?),
            Boundary::query(coupon),
        ])
    }

    fn decide(
        (order, stock, coupon): &(Order, Stock, Coupon),
        command: &ShopCommand,
    ) -> Result<Facts, No> {
        match command.clone() {
            ShopCommand::PlaceOrder { .. } if order.is_placed => Err(No::NotNow),
            ShopCommand::PlaceOrder { .. } if stock.free == 0 => Err(No::SoldOut),
            ShopCommand::PlaceOrder { .. } if coupon.is_used => Err(No::CouponUsed),
            ShopCommand::PlaceOrder { order, sku, coupon } => Ok(Facts::nothing()
                .and(&OrderEvent::OrderPlaced {
                    order: order.clone(),
                    sku: sku.clone(),
                    coupon,
                })
                .and_in(stock_stream(&sku), &StockEvent::Reserved { order })),
            ShopCommand::PayOrder { .. }
                if !order.is_placed || order.is_paid || order.has_ended =>
            {
                Err(No::NotNow)
            }
            ShopCommand::PayOrder { order, .. } => {
                Ok(Facts::nothing().and(&OrderEvent::OrderPaid { order }))
            }
            ShopCommand::ShipOrder { .. } if !order.is_paid || order.has_ended => Err(No::NotNow),
            ShopCommand::ShipOrder { sku, .. } if sku == "anvil" => Err(No::TooHeavy),
            ShopCommand::ShipOrder { order, .. } => {
                Ok(Facts::nothing().and(&OrderEvent::OrderShipped { order }))
            }
            ShopCommand::CancelOrder { .. } if !order.is_placed || order.has_ended => {
                Err(No::NotNow)
            }
            ShopCommand::CancelOrder { order, sku, why } => Ok(Facts::nothing()
                .and(&OrderEvent::OrderCancelled {
                    order: order.clone(),
                    why,
                })
                .and_in(stock_stream(&sku), &StockEvent::Released { order })),
        }
    }
}

/// Ships what is paid, and cancels what is not paid in time or cannot be shipped.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Fulfilment {
    order: String,
    sku: String,
}

impl Fulfilment {
    fn cancel(&self, why: &str) -> ShopCommand {
        ShopCommand::CancelOrder {
            order: self.order.clone(),
            sku: self.sku.clone(),
            why: why.to_owned(),
        }
    }
}

impl Process for Fulfilment {
    type Event = OrderEvent;
    const NAME: &'static str = "fulfilment";

    fn instance(event: &OrderEvent, _: &RecordedEvent) -> Option<String> {
        let (OrderEvent::OrderPlaced { order, .. }
        | OrderEvent::OrderPaid { order }
        | OrderEvent::OrderShipped { order }
        | OrderEvent::OrderCancelled { order, .. }) = event;
        Some(order.clone())
    }

    fn react(&mut self, happened: Happened<'_, OrderEvent>) -> Reaction {
        let nothing = Reaction::nothing();
        match happened {
            Happened::Event(OrderEvent::OrderPlaced { order, sku, .. }) => {
                self.order.clone_from(order);
                self.sku.clone_from(sku);
                nothing.remind("unpaid", IN_TIME)
            }
            Happened::Event(OrderEvent::OrderPaid { .. }) => {
                nothing.forget("unpaid").ask(&ShopCommand::ShipOrder {
                    order: self.order.clone(),
                    sku: self.sku.clone(),
                })
            }
            Happened::Due("unpaid") => nothing.ask(&self.cancel("it was not paid in time")),
            Happened::Refused {
                command: "ship-order",
                reason,
            } => nothing.ask(&self.cancel(reason)),
            Happened::Event(_) => nothing.end(),
            _ => nothing,
        }
    }
}

fn place(order: &str, sku: &str) -> ShopCommand {
    ShopCommand::PlaceOrder {
        order: order.to_owned(),
        sku: sku.to_owned(),
        coupon: None,
    }
}

fn pay(order: &str, sku: &str) -> ShopCommand {
    ShopCommand::PayOrder {
        order: order.to_owned(),
        sku: sku.to_owned(),
    }
}

fn placed(order: &str, coupon: Option<&str>) -> OrderEvent {
    OrderEvent::OrderPlaced {
        order: order.to_owned(),
        sku: "pen".to_owned(),
        coupon: coupon.map(str::to_owned),
    }
}

#[test]
fn what_is_decided_together_is_told_as_an_example() {
    let stocked =
        |count| Facts::nothing().and_in(stock_stream("pen"), &StockEvent::Stocked { count });
    let reserved = |order: &str| StockEvent::Reserved {
        order: order.to_owned(),
    };
    history(stocked(1)).when::<Shop>(place("1", "pen")).then(
        Facts::nothing()
            .and(&placed("1", None))
            .and_in(stock_stream("pen"), &reserved("1")),
    );
    history(stocked(1).and_in(stock_stream("pen"), &reserved("0")))
        .when::<Shop>(place("1", "pen"))
        .then_refused(No::SoldOut);
    let with_coupon = ShopCommand::PlaceOrder {
        order: "2".to_owned(),
        sku: "pen".to_owned(),
        coupon: Some("ten-off".to_owned()),
    };
    history(stocked(9).and_in(order_stream("1"), &placed("1", Some("ten-off"))))
        .when::<Shop>(with_coupon.clone())
        .then_refused(No::CouponUsed);
    let failing = || {
        history(stocked(1).and_in(order_stream("1"), &placed("1", Some("other"))))
            .when::<Shop>(with_coupon)
            .then(Facts::nothing());
    };
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(failing)).unwrap_err();
    assert_eq!(
        *panic.downcast::<String>().unwrap(),
        "\
it::shop::Shop decides otherwise
given
  stock-pen:  stocked {\"count\":1}
  order-1:  order-placed #coupon:other {\"order\":\"1\",\"sku\":\"pen\",\"coupon\":\"other\"}
when
  PlaceOrder { order: \"2\", sku: \"pen\", coupon: Some(\"ten-off\") }
expected
  nothing
but
  order-placed #coupon:ten-off {\"order\":\"2\",\"sku\":\"pen\",\"coupon\":\"ten-off\"}
  stock-pen:  reserved {\"order\":\"2\"}
"
    );
}

#[test]
fn what_a_process_does_is_told_as_an_example() {
    let placed = placed("1", None);
    let paid = OrderEvent::OrderPaid {
        order: "1".to_owned(),
    };
    played::<Fulfilment>([])
        .when(Happened::Event(&placed))
        .then(Reaction::nothing().remind("unpaid", IN_TIME));
    played::<Fulfilment>([Happened::Event(&placed)])
        .when(Happened::Due("unpaid"))
        .then(Reaction::nothing().ask(&ShopCommand::CancelOrder {
            order: "1".to_owned(),
            sku: "pen".to_owned(),
            why: "it was not paid in time".to_owned(),
        }));
    let failing = || {
        played::<Fulfilment>([Happened::Event(&placed)])
            .when(Happened::Event(&paid))
            .then(Reaction::nothing());
    };
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(failing)).unwrap_err();
    let message = *panic.downcast::<String>().unwrap();
    assert!(message.contains("Fulfilment reacts otherwise"), "{message}");
    assert!(message.contains("ship-order"), "{message}");

    let order = folded::<Order>([placed, paid]);
    assert!(order.is_placed && order.is_paid && !order.has_ended);
}

/// A store that lets others have a turn, or its user be killed, before and after each append.
#[derive(Debug, Clone)]
struct Yielding(MemoryStore);

impl EventStore for Yielding {
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        let store = self.0.clone();
        StoreFuture::new(async move {
            tokio::task::yield_now().await;
            let outcome = store.append(append).await;
            tokio::task::yield_now().await;
            outcome
        })
    }
    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        self.0.recall(key)
    }
    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        self.0.read(query, options)
    }
    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        self.0.subscribe(query, start)
    }
    fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
        self.0.head()
    }
    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        self.0.wait_for(position)
    }
    fn epoch(&self) -> Epoch {
        self.0.epoch()
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

impl CheckpointStore for Yielding {
    fn checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<Position, ReadError>> {
        self.0.checkpoint(consumer)
    }
    fn save_checkpoint(
        &self,
        consumer: Consumer,
        position: Position,
    ) -> StoreFuture<Result<(), KeepError>> {
        self.0.save_checkpoint(consumer, position)
    }
    fn remove_checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<(), KeepError>> {
        self.0.remove_checkpoint(consumer)
    }
}

fn shop(store: impl EventStore + 'static) -> Dispatcher {
    Dispatcher::builder(store)
        .clock(SimulatedClock::hasty())
        .conflict_retries(Backoff::retries(100))
        .commands::<Shop>()
        .build()
}

async fn stock(store: &dyn EventStore, sku: &str, count: u32) {
    let stocked = eventwire_cqrs::codec::encode(&StockEvent::Stocked { count }).unwrap();
    let append = Append::to(stock_stream(sku).unwrap()).event(stocked);
    store.append(append).await.unwrap();
}

fn now() -> SimulatedClock {
    SimulatedClock::at(SystemTime::now())
}

fn processor<S>(store: S, clock: &SimulatedClock) -> Processor<Fulfilment>
where
    S: EventStore + CheckpointStore + Clone + 'static,
{
    Processor::new(store.clone(), shop(store)).clock(clock.clone())
}

/// What has become of each order, and how much of each thing is free.
async fn told(store: &dyn EventStore) -> (BTreeMap<String, Vec<String>>, BTreeMap<String, u32>) {
    let (mut orders, mut stocks) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Stock>::new());
    let mut items = store.read(Query::all(), ReadOptions::all());
    while let Some(item) = items.next().await {
        let Item::Event(event) = item.unwrap() else {
            continue;
        };
        let stream = event.stream_name().unwrap().as_str();
        if let Some(order) = stream.strip_prefix("order-") {
            let told = orders.entry(order.to_owned()).or_default();
            told.push(event.event_type.to_string());
        } else if let Some(sku) = stream.strip_prefix("stock-") {
            let event = eventwire_cqrs::codec::decode(&event).unwrap();
            stocks.entry(sku.to_owned()).or_default().evolve(&event);
        }
    }
    let free = stocks.into_iter().map(|(sku, stock)| (sku, stock.free));
    (orders, free.collect())
}

/// Polls until nothing more happens by itself.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

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
        let records = Query::tags([Tag::new("process:fulfilment").unwrap()]);
        let mut items = store.read(records, ReadOptions::all());
        let mut causes = Vec::new();
        while let Some(item) = block_on(items.next()) {
            if let Item::Event(event) = item.unwrap() {
                let json: serde_json::Value = event.json().unwrap();
                causes.push(format!("{} {}", json["instance"], json["cause"]));
            }
        }
        let count = causes.len();
        causes.sort();
        causes.dedup();
        prop_assert_eq!(causes.len(), count);
    }
}

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
