//! A shop: orders and stock decided together, coupons that are good for one order, and a
//! process that ships what is paid and cancels what is not paid in time.

mod competing;
mod examples;
mod killing;
mod processing;

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
    Append, CheckpointStore, Consumer, EventStore, Item, MemoryStore, NameError, Position, Query,
    ReadOptions, RecordedEvent, Start, StreamName, Tag,
};
use eventwire_store_file::FileStore;
use futures_executor::block_on;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) const IN_TIME: Duration = Duration::from_secs(1_800);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::enum_variant_names,
    reason = "a type's name stands alone in the log"
)]
pub(crate) enum OrderEvent {
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
pub(crate) enum StockEvent {
    Stocked { count: u32 },
    Reserved { order: String },
    Released { order: String },
}

impl DomainEvent for StockEvent {}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Order {
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
pub(crate) struct Stock {
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
pub(crate) struct Coupon {
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
pub(crate) enum ShopCommand {
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
pub(crate) enum No {
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
pub(crate) struct Shop;

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
pub(crate) struct Fulfilment {
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

pub(crate) fn place(order: &str, sku: &str) -> ShopCommand {
    ShopCommand::PlaceOrder {
        order: order.to_owned(),
        sku: sku.to_owned(),
        coupon: None,
    }
}

pub(crate) fn pay(order: &str, sku: &str) -> ShopCommand {
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

pub(crate) fn shop(store: impl EventStore + 'static) -> Dispatcher {
    Dispatcher::builder(store)
        .clock(SimulatedClock::hasty())
        .conflict_retries(Backoff::retries(100))
        .commands::<Shop>()
        .build()
}

pub(crate) async fn stock(store: &dyn EventStore, sku: &str, count: u32) {
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
pub(crate) async fn told(
    store: &dyn EventStore,
) -> (BTreeMap<String, Vec<String>>, BTreeMap<String, u32>) {
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

/// What is written down of each instance: its name and the cause.
async fn causes(store: &dyn EventStore) -> Vec<String> {
    let records = Query::tags([Tag::new("process:fulfilment").unwrap()]);
    let mut items = store.read(records, ReadOptions::all());
    let mut causes = Vec::new();
    while let Some(item) = items.next().await {
        if let Item::Event(event) = item.unwrap() {
            let json: serde_json::Value = event.json().unwrap();
            causes.push(format!("{} {}", json["instance"], json["cause"]));
        }
    }
    causes.sort();
    causes
}

/// Polls until nothing more happens by itself.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}
