//! The shop of `docs/cqrs.md`, whole: what can happen, the rules, the views, and what follows.

use std::collections::BTreeSet;
use std::time::Duration;

use eventwire_cqrs::layers;
use eventwire_cqrs::process::{Happened, Process, Processor, Reaction};
use eventwire_cqrs::projection::{MemoryView, Projector};
use eventwire_cqrs::{
    Boundary, CommandError, CommandRequest, Decider, Decision, Dispatcher, DomainEvent, Facts, Fold,
};
use eventwire_store::{MemoryStore, NameError, Query, RecordedEvent, StreamName, Tag};
use serde::{Deserialize, Serialize};
use tower::ServiceBuilder;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OrderEvent {
    OrderPlaced { order: String },
    CouponRedeemed { order: String, coupon: String },
    OrderPaid { order: String },
    OrderCancelled { order: String },
}

impl DomainEvent for OrderEvent {
    fn tags(&self) -> Result<Vec<Tag>, NameError> {
        match self {
            Self::CouponRedeemed { coupon, .. } => Ok(vec![coupon_tag(coupon)?]),
            _ => Ok(vec![]),
        }
    }
}

fn coupon_tag(coupon: &str) -> Result<Tag, NameError> {
    Tag::new(format!("coupon:{coupon}"))
}

fn order_stream(order: &str) -> Result<StreamName, NameError> {
    StreamName::new(format!("order-{order}"))
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::enum_variant_names,
    reason = "a command's name stands alone in a request"
)]
enum OrderCommand {
    PlaceOrder { order: String },
    PayOrder { order: String },
    CancelOrder { order: String },
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum Refusal {
    #[error("there is an order of this name already")]
    AlreadyPlaced,
    #[error("the order is not open")]
    NotOpen,
    #[error("the coupon was used")]
    CouponUsed,
}

#[derive(Debug, Default)]
struct Order {
    was_placed: bool,
    is_open: bool,
}

impl Decider for Order {
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Refusal = Refusal;

    fn boundary(command: &OrderCommand) -> Result<Boundary, NameError> {
        let (OrderCommand::PlaceOrder { order }
        | OrderCommand::PayOrder { order }
        | OrderCommand::CancelOrder { order }) = command;
        Ok(Boundary::stream(order_stream(order)?))
    }

    fn evolve(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::OrderPlaced { .. } => {
                self.was_placed = true;
                self.is_open = true;
            }
            OrderEvent::CouponRedeemed { .. } => {}
            OrderEvent::OrderPaid { .. } | OrderEvent::OrderCancelled { .. } => {
                self.is_open = false;
            }
        }
    }

    fn decide(&self, command: &OrderCommand) -> Result<Vec<OrderEvent>, Refusal> {
        match command.clone() {
            OrderCommand::PlaceOrder { .. } if self.was_placed => Err(Refusal::AlreadyPlaced),
            OrderCommand::PlaceOrder { order } => Ok(vec![OrderEvent::OrderPlaced { order }]),
            _ if !self.is_open => Err(Refusal::NotOpen),
            OrderCommand::PayOrder { order } => Ok(vec![OrderEvent::OrderPaid { order }]),
            OrderCommand::CancelOrder { order } => Ok(vec![OrderEvent::OrderCancelled { order }]),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CouponCommand {
    RedeemCoupon { order: String, coupon: String },
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

struct Redeeming;

impl Decision for Redeeming {
    type Command = CouponCommand;
    type States = (Order, Coupon);
    type Refusal = Refusal;

    fn boundaries(command: &CouponCommand) -> Result<[Boundary; 2], NameError> {
        let CouponCommand::RedeemCoupon { order, coupon } = command;
        let anywhere = Query::tags([coupon_tag(coupon)?]);
        Ok([
            Boundary::stream(order_stream(order)?),
            Boundary::query(anywhere),
        ])
    }

    fn decide(
        (order, coupon): &(Order, Coupon),
        command: &CouponCommand,
    ) -> Result<Facts, Refusal> {
        if !order.is_open {
            return Err(Refusal::NotOpen);
        }
        if coupon.is_used {
            return Err(Refusal::CouponUsed);
        }
        let CouponCommand::RedeemCoupon { order, coupon } = command.clone();
        Ok(Facts::nothing().and(&OrderEvent::CouponRedeemed { order, coupon }))
    }
}

#[derive(Debug, Default)]
struct OpenOrders(BTreeSet<String>);

impl Fold for OpenOrders {
    type Event = OrderEvent;

    fn evolve(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::OrderPlaced { order } => {
                self.0.insert(order.clone());
            }
            OrderEvent::CouponRedeemed { .. } => {}
            OrderEvent::OrderPaid { order } | OrderEvent::OrderCancelled { order } => {
                self.0.remove(order);
            }
        }
    }
}

const A_DAY: Duration = Duration::from_secs(86_400);

/// Cancels what is not paid within a day.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Payment {
    order: String,
}

impl Process for Payment {
    type Event = OrderEvent;
    const NAME: &'static str = "payment";

    fn instance(event: &OrderEvent, _: &RecordedEvent) -> Option<String> {
        match event {
            OrderEvent::CouponRedeemed { .. } => None,
            OrderEvent::OrderPlaced { order }
            | OrderEvent::OrderPaid { order }
            | OrderEvent::OrderCancelled { order } => Some(order.clone()),
        }
    }

    fn react(&mut self, happened: Happened<'_, OrderEvent>) -> Reaction {
        match happened {
            Happened::Event(OrderEvent::OrderPlaced { order }) => {
                self.order.clone_from(order);
                Reaction::nothing().remind("unpaid", A_DAY)
            }
            Happened::Event(_) => Reaction::nothing().end(),
            Happened::Due("unpaid") => {
                let order = self.order.clone();
                Reaction::nothing().ask(&OrderCommand::CancelOrder { order })
            }
            _ => Reaction::nothing(),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new();

    let open = MemoryView::<OpenOrders>::new();
    let projector = Projector::new(store.clone(), "open-orders", open.clone())?;
    let shown = projector.progress();
    tokio::spawn(projector.run());

    let dispatcher = Dispatcher::builder(store.clone())
        .commands::<Order>()
        .commands::<Redeeming>()
        .layer(
            ServiceBuilder::new()
                .layer(layers::trace())
                .layer(layers::timeout(Duration::from_secs(5)))
                .layer(layers::consistent_with(shown)),
        )
        .build();
    tokio::spawn(Processor::<Payment>::new(store, dispatcher.clone()).run());

    // By name, as requests from outside come: through all layers.
    let request = CommandRequest::new("place-order", r#"{"order":"7"}"#);
    let receipt = dispatcher.dispatch(request).await?;
    assert!(receipt.appended.is_some());
    assert!(open.read(|open| open.0.contains("7")));

    // By type, as the program itself asks.
    let again = OrderCommand::PlaceOrder { order: "7".into() };
    match dispatcher.execute::<Order>(again).await {
        Err(CommandError::Refused(why)) => {
            assert_eq!(why.to_string(), "there is an order of this name already");
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use eventwire_cqrs::testing::{folded, given, history, played};

    use super::*;

    fn placed(order: &str) -> OrderEvent {
        OrderEvent::OrderPlaced {
            order: order.into(),
        }
    }

    fn redeemed(order: &str) -> OrderEvent {
        OrderEvent::CouponRedeemed {
            order: order.into(),
            coupon: "ten-off".into(),
        }
    }

    #[test]
    fn an_order_is_paid_once() {
        let pay = || OrderCommand::PayOrder { order: "7".into() };
        let paid = || OrderEvent::OrderPaid { order: "7".into() };
        given::<Order>([placed("7")]).when(pay()).then([paid()]);
        given::<Order>([placed("7"), paid()])
            .when(pay())
            .then_refused(Refusal::NotOpen);
        given::<Order>([])
            .when(pay())
            .then_refused(Refusal::NotOpen);
    }

    #[test]
    fn a_coupon_is_good_for_one_order() {
        let redeem = || CouponCommand::RedeemCoupon {
            order: "8".into(),
            coupon: "ten-off".into(),
        };
        let past = || Facts::nothing().and_in(order_stream("8"), &placed("8"));
        history(past())
            .when::<Redeeming>(redeem())
            .then(Facts::nothing().and(&redeemed("8")));
        history(past().and_in(order_stream("7"), &redeemed("7")))
            .when::<Redeeming>(redeem())
            .then_refused(Refusal::CouponUsed);
    }

    #[test]
    fn the_view_shows_what_is_open() {
        let cancelled = OrderEvent::OrderCancelled { order: "7".into() };
        let open = folded::<OpenOrders>([placed("7"), placed("8"), cancelled]);
        assert_eq!(open.0, BTreeSet::from(["8".to_owned()]));
    }

    #[test]
    fn what_is_not_paid_in_time_is_cancelled() {
        played::<Payment>([Happened::Event(&placed("7"))])
            .when(Happened::Due("unpaid"))
            .then(Reaction::nothing().ask(&OrderCommand::CancelOrder { order: "7".into() }));
    }
}
