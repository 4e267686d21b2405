"""Requests name themselves: what is learned, what is never learned, what is given."""

from __future__ import annotations

import random
import re
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.carveout.naming import (
    UNMATCHED,
    Namer,
    Template,
    given_templates,
    load_templates,
    save_templates,
)
from proxy.carveout.naming.segments import KIND_PATTERNS, segment
from proxy.config.transaction_patterns import PatternError, parse_pattern, read_openapi

WORDS = [
    f"{a}{b}" for a in ("moss", "rain", "oak", "sun", "owl", "elm") for b in ("pond", "leaf", "bark", "wind", "ridge")
]


NUMBERS = count()


def learn(
    namer: Namer, *paths: str, times: int = 1, method: bytes = b"GET", status: int = 200, clients: int = 7
) -> None:
    for _ in range(times):
        for path in paths:
            namer.learn(method, path.encode(), status, next(NUMBERS) % clients)


def names(namer: Namer) -> set[str]:
    return {template.name for template in namer.templates()}


# What a segment looks like

SEGMENTS = {
    "a word": ("orders", ("orders", "{name}")),
    "a number": ("1042", ("", "{id}")),
    "an address": ("10.0.0.12", ("", "{id}")),
    "a UUID": ("6f1c1f0e-8f5b-4f43-9f0e-1c7f7e6b3a10", ("", "{id}")),
    "a UUID of letters": ("abcdefab-cdef-abcd-efab-cdefabcdefab", ("", "{id}")),
    "hexadecimal": ("deadbeef", ("", "{id}")),
    "an id with a prefix": ("cus_NffrFeUfNV2Hib", ("", "{id}")),
    "an id with a prefix and no digit": ("itm_OUJnXafVaOYnXf", ("", "{id}")),
    "a number with a prefix": ("INV-2024-001", ("", "{id}")),
    "a token": ("eyJhbGciOiJIUzI1NiJ9abcdefghijklmnop", ("", "{id}")),
    "an e-mail address": ("ada@example.com", ("", "{email}")),
    "an encoded e-mail address": ("ada%40example.com", ("", "{email}")),
    "a date": ("2026-11-24", ("", "{date}")),
    "a month": ("2026-11", ("", "{date}")),
    "a version": ("v2", ("v2", "{name}")),
    "an early version": ("v1beta1", ("v1beta1", "{name}")),
    "a word with a digit": ("1-clicks", ("1-clicks", "{name}")),
    "an extension": ("site.json", ("site.json", "{name}.json")),
    "a number and an extension": ("42.json", ("", "{id}.json")),
    "a verb": ("levels:append", ("levels:append", "{name}:append")),
    "a number and a verb": ("42:cancel", ("", "{id}:cancel")),
    "a session in a path parameter": ("list;jsessionid=4711AB", ("list", "{name}")),
    "more than a word": ("a b", ("", "{name}")),
    "an encoded slash": ("a%2Fb", ("", "{name}")),
    "no UTF-8": ("%ff%fe", ("", "{name}")),
    "very long": ("x-" * 40, ("", "{name}")),
}


@pytest.mark.parametrize(("raw", "expected"), SEGMENTS.values(), ids=SEGMENTS)
def test_a_segment_is_what_it_looks_like(raw: str, expected: tuple[str, str]) -> None:
    raw = raw.replace("a b", "a%20b")
    assert segment(raw.encode()) == expected


@given(st.from_regex(r"[A-Za-z0-9_.@-]{1,30}", fullmatch=True))
def test_the_kinds_are_what_their_patterns_match(text: str) -> None:
    as_written, kind = segment(text.encode())
    stem = kind.partition("}")[0] + "}"
    suffix = kind.partition("}")[2]
    assert re.fullmatch(KIND_PATTERNS[stem] + re.escape(suffix), text)
    assert as_written in ("", text)


# What is learned


def test_routes_are_named_by_their_literals_and_ids() -> None:
    namer = Namer()
    learn(namer, "/orders", "/orders/17", "/orders/18/items", "/customers/5", times=8)
    learn(namer, "/orders", times=8, method=b"POST")
    namer.settle()
    assert names(namer) == {
        "GET /orders", "GET /orders/{id}", "GET /orders/{id}/items", "GET /customers/{id}", "POST /orders"
    }  # fmt: skip
    assert namer.name(b"GET", b"/orders/999") == "GET /orders/{id}"
    assert namer.name(b"GET", b"/orders/999/items/") == "GET /orders/{id}/items"
    assert namer.name(b"DELETE", b"/orders/999") == UNMATCHED


def test_an_unknown_method_is_other() -> None:
    namer = Namer()
    learn(namer, "/dav/7", times=8, method=b"PROPFIND")
    namer.settle()
    assert namer.name(b"MKCOL", b"/dav/8") == "OTHER /dav/{id}"


def test_names_of_people_become_one_value() -> None:
    namer = Namer()
    for word in WORDS:
        learn(namer, f"/users/{word}", f"/users/{word}/posts")
    learn(namer, "/users/mosspond", times=20)
    namer.settle()
    assert namer.name(b"GET", b"/users/nobody-yet/posts") == "GET /users/{id}/posts"
    assert not any("mosspond" in name for name in names(namer))


def test_a_literal_beside_values_stays_when_it_is_used_in_another_way() -> None:
    namer = Namer()
    learn(namer, "/users/by-email/ada@example.com", times=9)
    for word in WORDS:
        learn(namer, f"/users/{word}", f"/users/{word}/posts")
    namer.settle()
    assert namer.name(b"GET", b"/users/by-email/bob@example.com") == "GET /users/by-email/{email}"
    assert namer.name(b"GET", b"/users/someone") == "GET /users/{id}"


def test_owner_and_repository_are_two_values() -> None:
    namer = Namer()
    rng = random.Random(1)
    for number in range(600):
        owner, repository = rng.choice(WORDS), f"{rng.choice(WORDS)}-{rng.choice(WORDS)}"
        namer.learn(b"GET", f"/repos/{owner}-{rng.choice(WORDS)}/{repository}/issues".encode(), 200, number % 9)
        if number % 50 == 0:
            namer.settle()
    namer.settle()
    assert names(namer) == {"GET /repos/{id}/{id}/issues"}


def test_a_fixed_set_of_sixty_routes_keeps_its_names() -> None:
    namer = Namer()
    rng = random.Random(2)
    routes = [f"{a}{b}" for a in WORDS[:20] for b in ("", "-stats", "-jobs")]
    for number in range(3000):
        namer.learn(b"GET", f"/api/{rng.choice(routes)}".encode(), 200, number % 9)
        if number % 100 == 0:
            namer.settle()
    namer.settle()
    assert names(namer) == {f"GET /api/{route}" for route in routes}


def test_a_word_of_one_client_never_is_a_name() -> None:
    namer = Namer()
    learn(namer, "/reset/17", times=600, clients=20)
    learn(namer, "/reset/mysecretword", times=500, clients=2)
    namer.settle(at_leisure=True)
    assert names(namer) == {"GET /reset/{id}"}


def test_where_there_are_two_clients_two_are_enough() -> None:
    namer = Namer()
    learn(namer, "/orders", times=499, clients=2)
    namer.settle()
    assert names(namer) == set()
    learn(namer, "/orders", times=2, clients=2)
    namer.settle()
    assert names(namer) == {"GET /orders"}


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_a_failed_request_teaches_nothing(status: int) -> None:
    namer = Namer()
    learn(namer, "/wp-login.php", times=100, status=status)
    namer.settle(at_leisure=True)
    assert names(namer) == set()


def test_files_of_many_kinds_are_one_name() -> None:
    namer = Namer()
    for word in WORDS:
        learn(namer, *(f"/static/{word}.{extension}" for extension in ("js", "css", "png", "svg")))
    namer.settle()
    namer.settle()
    assert names(namer) == {"GET /static/{id}"}
    assert namer.name(b"GET", b"/static/new.woff2") == "GET /static/{id}"


def test_what_is_too_deep_is_the_rest() -> None:
    namer = Namer()
    learn(namer, "/" + "/".join(map(str, range(30))), times=9)
    namer.settle()
    assert namer.name(b"GET", b"/1" * 40) == "GET " + "/{id}" * 12 + "/{rest}"


def test_a_rename_tells_the_old_and_the_new_name() -> None:
    namer = Namer(now=lambda: 12.0)
    learn(namer, "/users/mosspond", times=9)
    namer.settle()
    assert names(namer) == {"GET /users/mosspond"}
    for word in WORDS[1:]:
        learn(namer, f"/users/{word}")
    namer.settle()
    assert [(rename.at, rename.old, rename.new) for rename in namer.renames] == [
        (12.0, "GET /users/mosspond", "GET /users/{id}")
    ]


# Bounds


@pytest.mark.parametrize("status", [200, 404])
def test_random_paths_make_no_more_names_than_the_limit(status: int) -> None:
    namer = Namer(limit=50)
    rng = random.Random(3)
    for number in range(6000):
        depth = rng.randrange(1, 5)
        path = "/" + "/".join(rng.choice(WORDS) + rng.choice(WORDS)[: rng.randrange(9)] for _ in range(depth))
        namer.learn(rng.choice((b"GET", b"POST")), path.encode(), status, number)
        if number % 300 == 0:
            namer.settle()
    namer.settle(at_leisure=True)
    assert len(names(namer)) <= 50


def test_over_the_limit_all_share_one_name() -> None:
    namer = Namer(limit=2)
    learn(namer, "/a/1", "/b/1", "/c/1", times=9)
    learn(namer, "/a/1", "/b/1", times=1)
    namer.settle()
    assert [namer.name(b"GET", path) for path in (b"/a/2", b"/b/2", b"/c/2")] == [
        "GET /a/{id}", "GET /b/{id}", "{other}"
    ]  # fmt: skip
    assert namer.overflow == 1
    learn(namer, "/c/1", times=90)
    namer.settle()
    assert namer.name(b"GET", b"/a/2") == "GET /a/{id}", "who has a name keeps it"


# The same by regular expressions


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "b.json", "17", "x@y.zz", "2026-01-02", "w", *WORDS[:4]]), max_size=4)))
def test_the_first_template_whose_expression_matches_is_the_name(paths: list[list[str]]) -> None:
    namer = Namer()
    for number in range(8):
        for path in paths:
            namer.learn(b"GET", ("/" + "/".join(path)).encode(), 200, number)
    namer.settle(at_leisure=True)
    templates = namer.templates()
    for path in paths:
        text = "/" + "/".join(path)
        first = next((template.name for template in templates if re.fullmatch(template.regex, text)), UNMATCHED)
        assert first == namer.name(b"GET", text.encode())


# What is given


def test_a_given_pattern_comes_before_a_learned_one() -> None:
    namer = Namer(given_templates(map(parse_pattern, ("GET /orders/{number}", "/static/*", "/r/{id}.{kind}"))))
    learn(namer, "/orders/1", times=9)
    namer.settle()
    table = {
        (b"GET", b"/orders/1"): "GET /orders/{number}",
        (b"POST", b"/orders/1"): UNMATCHED,
        (b"PUT", b"/static/a/b/c.js"): "PUT /static/*",
        (b"GET", b"/static"): "GET /static/*",
        (b"GET", b"/r/7.xml"): "GET /r/{id}.{kind}",
        (b"GET", b"/r/7"): UNMATCHED,
    }
    assert {key: namer.name(*key) for key in table} == table


BAD_PATTERNS = [
    "",
    "orders",
    "GET orders",
    "FETCH /orders",
    "GET /a b",
    "GET /a/*/b",
    "GET /a/{b",
    "GET /a?b=c",
    "/a/b*",
]


@pytest.mark.parametrize("text", BAD_PATTERNS)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(PatternError, match=re.escape(repr(text)) if text else "method and a path"):
        parse_pattern(text)


def test_an_openapi_document_names_its_operations() -> None:
    document = b"""
openapi: 3.1.0
servers: [{url: "https://api.example.com/v2/"}, {url: "/old"}]
paths:
  /orders/{orderId}:
    parameters: []
    get: {}
    delete: {}
  /orders/{orderId}/items.{format}: {get: {}}
"""
    assert [template.name for template in given_templates(read_openapi(document))] == [
        "GET /v2/orders/{orderId}", "DELETE /v2/orders/{orderId}", "GET /v2/orders/{orderId}/items.{format}",
        "GET /old/orders/{orderId}", "DELETE /old/orders/{orderId}", "GET /old/orders/{orderId}/items.{format}",
    ]  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"[1]", b"a: b", b"paths: 3", b"\x00", b"{", b"[" * 10_000], ids=range(7))
def test_what_is_no_openapi_document_is_refused(content: bytes) -> None:
    with pytest.raises(PatternError):
        read_openapi(content)


# Over a restart


def test_what_was_learned_is_kept_in_a_file(tmp_path: Path) -> None:
    namer = Namer()
    learn(namer, "/orders/17", "/orders", times=9)
    for word in WORDS:
        learn(namer, f"/orders/by/{word}")
    learn(namer, "/orders/by/17", times=3)
    namer.settle()
    file = tmp_path / "state" / "transactions.json"
    save_templates(file, namer.learned)
    again = Namer()
    again.restore(load_templates(file))
    assert names(again) == names(namer) == {"GET /orders", "GET /orders/{id}", "GET /orders/by/{id}"}
    again.settle(at_leisure=True)
    assert names(again) == names(namer)
    assert again.name(b"GET", b"/orders/by/someone") == "GET /orders/by/{id}"
    assert [path.name for path in file.parent.iterdir()] == ["transactions.json"]


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "templates": [{"method": "GET"}]}', "\x00"]
)
def test_a_damaged_file_is_learned_again(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "transactions.json"
    file.write_text(content)
    assert load_templates(file) == []
    assert "learned again" in caplog.text


def test_a_template_survives_json() -> None:
    template = Template("GET", ("a", "{name}.json"), "learned", 5)
    assert Template.from_json(template.as_json()) == template
