//! The shop's rules, told as examples.

use super::*;

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
