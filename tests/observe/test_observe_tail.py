"""The tail: bounded, fair, and silent about what is nobody's business."""

from __future__ import annotations

import random

from proxy.observe.record import RequestRecord
from proxy.observe.tail import SAMPLE, Tail, entry, join
from proxy.rules.request import RequestView


def ended(number: int, target: str = "/orders/7?token=s3cret&x=1") -> RequestRecord:
    record = RequestRecord()
    record.started_at = float(number)
    record.received_at, record.ended_at = 1.0, 1.25
    headers = [("Host", "shop"), ("Cookie", "session=s3cret"), ("Authorization", "Bearer s3cret")]
    record.view = RequestView.of("GET", target, headers, peer="203.0.113.9")
    record.method, record.status, record.client = b"GET", 200, "203.0.113.9"
    record.listener, record.rule, record.target_group, record.target_id = "web", "orders", "orders", "10.0.0.1:80"
    return record


def test_an_entry_has_no_query_no_header_and_no_address() -> None:
    shown = entry(ended(5))

    assert "s3cret" not in str(shown)
    assert "203.0.113.9" not in str(shown)
    assert (shown["path"], shown["has_query"], shown["seconds"]) == ("/orders/7", True, 0.25)


def test_user_information_of_an_absolute_target_is_not_shown() -> None:
    assert "s3cret" not in str(entry(ended(1, "http://me:s3cret@shop/orders?x=s3cret")))


def test_a_long_path_is_cut() -> None:
    assert len(entry(ended(1, "/" + "x" * 9000))["path"]) == 512


def test_what_is_no_request_is_shown_too() -> None:
    record = RequestRecord()
    record.method, record.status = b"G" * 9000, 400

    assert (entry(record)["path"], len(entry(record)["method"])) == ("", 64)


def test_a_flood_leaves_a_bounded_sample_and_its_number() -> None:
    tail = Tail(0.0)
    for number in range(5000):
        tail.record(ended(number))

    batch = tail.take(0.0)

    assert batch["seen"] == 5000
    moments = [each["at"] for each in batch["entries"]]
    assert len(moments) == SAMPLE
    assert moments == sorted(set(moments))
    assert tail.take(0.0) == {"seen": 0, "entries": []}


def test_each_request_has_the_same_chance() -> None:
    """Early, middle and late requests of an interval are in the sample equally often."""
    pick = random.Random(7).randrange
    thirds = [0, 0, 0]
    for _ in range(100):
        tail = Tail(0.0, pick)
        for number in range(240):
            tail.record(ended(number))
        for each in tail.take(0.0)["entries"]:
            thirds[int(each["at"]) // 80] += 1

    assert sum(thirds) == 100 * SAMPLE
    assert all(1200 < third < 1470 for third in thirds), thirds


def test_the_workers_samples_become_one_in_order() -> None:
    one, two = Tail(0.0), Tail(0.0)
    for number in (1, 4):
        one.record(ended(number))
    two.record(ended(2))

    joined = join([one.take(0.0), two.take(0.0)])

    assert joined["seen"] == 3
    assert [each["at"] for each in joined["entries"]] == [1.0, 2.0, 4.0]
