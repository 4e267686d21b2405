"""Names at scale are those that the namer gives."""

from __future__ import annotations

import random

import duckdb
import pytest

from proxy.carveout.logs.dialect import translate
from proxy.carveout.logs.names import as_sent, case_expression, learn
from proxy.carveout.naming import Namer

ROUTES = (
    "/",
    "/orders",
    "/orders/{}",
    "/orders/{}/items/{}",
    "/it's/{}.json",
    "/a.b+c/{}",
    "/v1/users/{}/friends",
    "/o//x/",
)
VALUES = (
    "7",
    "123456",
    "ab12cd34ef56",
    "550e8400-e29b-41d4-a716-446655440000",
    "2026-11-24",
    "a@b.de",
    "red-shoes",
    "me",
    "%C3%A4",
)


def requests(count: int, seed: int) -> list[tuple[str, str, int, str]]:
    draw = random.Random(seed)
    return [
        (
            draw.choice(("GET", "GET", "POST", "BREW")),
            "/".join(draw.choice(VALUES) if part == "{}" else part for part in draw.choice(ROUTES).split("/")),
            200,
            f"{draw.randrange(50):012x}",
        )
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def namer() -> Namer:
    naming = Namer()
    learn(naming, requests(4000, seed=1))
    return naming


def test_the_sample_teaches_names(namer: Namer) -> None:
    assert {"GET /orders", "GET /orders/{id}", "OTHER /orders"} <= {template.name for template in namer.templates()}


def test_one_expression_names_as_the_namer_does(namer: Namer) -> None:
    """For paths that were seen and for those that were not, methods that are none included."""
    asked = [(method, path) for method, path, *_ in requests(600, seed=2)]
    asked += [("GET", path) for path in ("/nothing/like/it", "//", "/orders/7;v=1", "/orders/7/", "*", "/orders\n")]
    asked += [("-", "/"), ("get", "/orders"), ("", "/orders")]
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("CREATE TABLE asked (number INT, method VARCHAR, path VARCHAR)")
    connection.executemany("INSERT INTO asked VALUES (?, ?, ?)", [(at, *one) for at, one in enumerate(asked)])
    query = translate(f"SELECT {case_expression(namer.templates())} AS name FROM asked ORDER BY number", "duckdb")
    names = [name for (name,) in connection.execute(query).fetchall()]
    connection.close()

    assert [(one, name) for one, name in zip(asked, names, strict=True)] == [
        (one, namer.name(one[0].encode(), one[1].encode())) for one in asked
    ]


def test_without_templates_nothing_has_a_name() -> None:
    assert case_expression([]) == "'{unmatched}'"


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        pytest.param("/a", b"/a", id="ASCII"),
        pytest.param(r"/\xC3\xA4\x22", '/ä"'.encode(), id=r"\xHH, as the ALB and nginx write"),
        pytest.param("/Ã¤", "/ä".encode(), id="our JSON: a character a byte"),
        pytest.param("/漢", "/漢".encode(), id="UTF-8 as it is"),
        pytest.param(r"/\x", rb"/\x", id="no escape"),
    ],
)
def test_bytes_as_they_were_sent(text: str, sent: bytes) -> None:
    assert as_sent(text) == sent
