"""A service answers as the monolith does: the same requests to both, status, type and body compared.

This is what a team needs before it moves the first per cent of its traffic.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from running_process import Running, running

from extracted_services.nightly_report.report import QUESTIONS
from monolith_stub import seed

# What may differ, since it depends on the moment.
MOMENTARY = {"created_at", "card_token"}
# Each side numbers payments from a first one of its own.
OWN_NUMBERS = {"payments": {"id"}}
SIGNUP = {"name": "Kim Novak", "password": "correct horse", "city": "Oslo"}
LOGIN = "/api/users/login"


@dataclass(frozen=True)
class Call:
    """A request as both sides get it."""

    method: str
    path: str
    content: Any = None
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    def to(self, process: Running) -> httpx.Response:
        body = self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()
        return process.http.request(
            self.method, self.path, content=None if self.content is None else body, headers=self.headers
        )


@pytest.fixture(scope="module")
def monolith(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("monolith_stub", tmp_path_factory.mktemp("monolith") / "data") as process:
        yield process


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("extracted_services.users", tmp_path_factory.mktemp("users") / "data") as process:
        yield process


@pytest.fixture(scope="module")
def recommendations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("recommendations")
    with running("extracted_services.recommendations", folder / "data") as process:
        yield process


@pytest.fixture(scope="module")
def contacts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("extracted_services.contacts", tmp_path_factory.mktemp("contacts") / "data") as process:
        yield process


@pytest.fixture(scope="module")
def payments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("extracted_services.payments", tmp_path_factory.mktemp("payments") / "data") as process:
        yield process


@pytest.fixture(scope="module")
def nightly_report(monolith: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    source = {"NIGHTLY_REPORT_SOURCE": str(monolith.data / "shop.sqlite3")}
    with running("extracted_services.nightly_report", tmp_path_factory.mktemp("reports") / "data", source) as process:
        yield process


def described(response: httpx.Response, service: str = "") -> dict[str, Any]:
    """Return what must agree."""
    body, own = response.json(), OWN_NUMBERS.get(service, set())
    if isinstance(body, dict) and response.request.method == "POST":
        body = {key: "any" if key in MOMENTARY | own else value for key, value in body.items()}
        for problem in body["detail"] if isinstance(body.get("detail"), list) else ():
            if problem["type"] == "json_invalid":
                # Where the JSON breaks off is counted by whoever reads it.
                problem["loc"] = problem["loc"][:1]
    location = response.headers.get("Location")
    return {
        "status": response.status_code,
        "content-type": response.headers["Content-Type"],
        "location": re.sub(r"\d+$", "N", location) if location and own else location,
        "allow": response.headers.get("Allow"),
        "body": body,
    }


USERS_CALLS = [
    pytest.param([Call("GET", "/health")], [200], id="health"),
    pytest.param([Call("GET", f"/api/users/{user}") for user in (1, 2, 999, 2000)], [200] * 4, id="seeded users"),
    pytest.param(
        [Call("GET", f"/api/users?limit=100&after={after}") for after in range(0, 2000, 100)],
        [200] * 20,
        id="every seeded user, in pages",
    ),
    pytest.param([Call("GET", "/api/users"), Call("GET", "/api/users?after=5000")], [200, 200], id="pages"),
    pytest.param(
        [
            Call("POST", "/api/users", {**SIGNUP, "email": " Kim.Novak@Example.org", "phone": "+4722000000"}),
            Call("POST", "/api/users", {**SIGNUP, "email": "kim.novak@example.org"}),
            Call("POST", LOGIN, {"email": "kim.novak@example.org", "password": "correct horse"}),
            Call("POST", LOGIN, {"email": "kim.novak@example.org", "password": "wrong horse"}),
            Call("POST", LOGIN, {"email": "nobody@example.org", "password": "correct horse"}),
        ],
        [201, 409, 200, 401, 401],
        id="sign up, sign up again, log in",
    ),
    pytest.param([Call("GET", "/api/users/9999"), Call("GET", "/api/users/1/friends")], [404, 404], id="not found"),
    pytest.param([Call("DELETE", "/api/users/1"), Call("PUT", "/api/users")], [405, 405], id="not allowed"),
    pytest.param(
        [
            Call("GET", "/api/users/abc"),
            Call("GET", "/api/users/0"),
            Call("GET", f"/api/users/{10**12}"),
            Call("GET", "/api/users?limit=0"),
            Call("GET", "/api/users?limit=many&after=-1"),
        ],
        [422] * 5,
        id="bad parameters",
    ),
    pytest.param(
        [
            Call("POST", "/api/users", {}),
            Call("POST", "/api/users", []),
            Call("POST", "/api/users", {**SIGNUP, "email": "nowhere"}),
            Call("POST", "/api/users", {**SIGNUP, "email": "a@example.org", "name": " "}),
            Call("POST", "/api/users", {**SIGNUP, "email": "a@example.org", "name": "A\nB"}),
            Call("POST", "/api/users", {**SIGNUP, "email": "a@example.org", "password": "short"}),
            Call("POST", "/api/users", {**SIGNUP, "email": "a@example.org", "phone": "0800"}),
            Call("POST", "/api/users", b"{"),
            Call("POST", "/api/users", b"{}", {"Content-Type": "text/plain"}),
            Call("POST", LOGIN, {"email": 1, "password": None}),
        ],
        [422] * 10,
        id="bad bodies",
    ),
    pytest.param([Call("POST", "/api/users", b" " * 70_000)], [413], id="body too large"),
]

RECOMMENDATIONS_CALLS = [
    pytest.param([Call("GET", "/health")], [200], id="health"),
    *(
        pytest.param(
            [
                Call("GET", f"/api/recommendations/users/{user_id}/{kind}{query}")
                for user_id in (1, 2, 3, 500, 1234, 1999, 2000)
                for query in ("", "?limit=100")
            ],
            [200] * 14,
            id=f"{kind} for seeded users",
        )
        for kind in ("friends", "products")
    ),
    pytest.param(
        [Call("GET", f"/api/recommendations/users/9999/{kind}") for kind in ("friends", "products", "enemies")],
        [404] * 3,
        id="not found",
    ),
    pytest.param(
        [
            Call("GET", "/api/recommendations/users/abc/friends"),
            Call("GET", "/api/recommendations/users/0/products"),
            Call("GET", "/api/recommendations/users/1/friends?limit=101"),
            Call("GET", "/api/recommendations/users/1/products?limit=x"),
        ],
        [422] * 4,
        id="bad parameters",
    ),
    pytest.param([Call("POST", "/api/recommendations/users/1/friends", {})], [405], id="not allowed"),
]


KNOWN = [
    {"name": "Me", "emails": ["ada.bauer.1@example.com"]},
    {"name": "Nobody", "emails": ["nobody@example.org"], "phones": ["+49 (30) 000", "0049 30 1", " "]},
    {},
]


def _upload(content: Any, user: object = 7, **headers: str) -> Call:
    return Call("POST", f"/api/contacts/{user}", content, {"Content-Type": "application/json", **headers})


def _seeded(*users: int) -> list[dict[str, Any]]:
    """Contacts with address or phone of seeded users, spelled as telephones do."""
    seeded = {user.id: user for user in seed.users()}
    return [
        {"emails": [f" {seeded[user].email.upper()}"]}
        if user % 2
        else {"phones": [seeded[user].phone.replace("+", "00 ").replace("30", "30 / ", 1)]}
        for user in users
    ]


CONTACTS_CALLS = [
    pytest.param([Call("GET", "/health")], [200], id="health"),
    pytest.param(
        [
            _upload({"contacts": KNOWN + _seeded(1, 2, 3, 7, 1000, 1999, 2000) * 2}),
            _upload({"contacts": _seeded(*range(1, 2001))}, 8),
            _upload({"contacts": []}),
            _upload({"contacts": [], "more": {"contacts": [1], "x": [[{}]]}}),
            _upload(b'{"contacts": [1], "contacts": [{"emails": ["a@example.org"]}]}'),
            _upload({"contacts": [{"emails": ["a@example.org"] * 20, "unknown": {"deep": [1, 2.5e3, None, True]}}]}),
        ],
        [200] * 6,
        id="matched",
    ),
    pytest.param([_upload({"contacts": []}, 9999), Call("GET", "/api/contacts")], [404, 404], id="not found"),
    pytest.param([Call("GET", "/api/contacts/1")], [405], id="not allowed"),
    pytest.param([_upload({"contacts": []}, user) for user in ("x", 0, 10**12)], [422] * 3, id="bad users"),
    pytest.param(
        [
            _upload({"contacts": [1, "a", None, [], {"name": 7}]}),
            _upload({"contacts": [1] * 100}),
            _upload({"contacts": [{}, {"emails": ["a"] * 25, "phones": "030"}, {"phones": [7, {}, "1" * 255]}]}),
            _upload({"contacts": [{"name": "n" * 255}]}),
            _upload({"contacts": [{}] * 100_001}),
            _upload({"contacts": {"item": {}}}),
            _upload({"contacts": "all"}),
            _upload({"contacts": None}),
            _upload(b'{"contacts": [{}], "contacts": 7}'),
            _upload({}),
            _upload({"Contacts": []}),
            _upload([]),
            _upload([{"contacts": []}]),
            _upload(7),
            _upload(b"null"),
            _upload(b""),
        ],
        [422] * 16,
        id="bad lists",
    ),
    pytest.param(
        [
            _upload(b"{"),
            _upload(b'{"contacts": [{}'),
            _upload(b'{"contacts": [1, 2, 3'),
            _upload(b'{"contacts": []} {}'),
            _upload(b"{'contacts': []}"),
            _upload(b'{"contacts": [], "a": 01}'),
            _upload({"contacts": []}, **{"Content-Type": "text/plain"}),
        ],
        [422] * 7,
        id="no JSON",
    ),
    pytest.param([_upload(b" " * (10 * 1024 * 1024 + 1))], [413], id="body too large"),
]

CARD = {"number": "4111 1111 1111 1111", "expiry_month": 12, "expiry_year": 2090, "cvc": "123", "holder": "Ada"}


def _pay(order: object, **card: object) -> Call:
    return Call("POST", "/api/payments", {"order_id": order, "card": {**CARD, **card}})


PAYMENTS_CALLS = [
    pytest.param([Call("GET", "/health")], [200], id="health"),
    pytest.param(
        [_pay(order) for order in range(8001, 8021)] + [_pay(8001), _pay(7999)], [201] * 20 + [409] * 2, id="paid once"
    ),
    pytest.param(
        [
            _pay(8101, number="5555-5555-5555-4444"),
            _pay(8102, number="378282246310005", cvc="1234"),
            _pay(8103, number="6011111111111117"),
        ],
        [201] * 3,
        id="brands",
    ),
    pytest.param([Call("GET", "/api/payments/999")], [404], id="not found"),
    pytest.param([Call("DELETE", "/api/payments/1"), Call("GET", "/api/payments")], [405, 405], id="not allowed"),
    pytest.param(
        [
            _pay(20_000),
            _pay(0),
            _pay("x"),
            _pay(8200, number="4111111111111112"),
            _pay(8200, number=4111111111111111),
            _pay(8200, cvc="12"),
            _pay(8200, cvc="12a"),
            _pay(8200, expiry_month=13),
            _pay(8200, expiry_year=2020),
            _pay(8200, holder=" "),
            Call("POST", "/api/payments", {}),
            Call("POST", "/api/payments", b"{"),
            Call("GET", "/api/payments/4111111111111111"),
            Call("GET", "/api/payments/x"),
        ],
        [422] * 14,
        id="bad payments",
    ),
    pytest.param([Call("POST", "/api/payments", b" " * 70_000)], [413], id="body too large"),
]


@pytest.mark.parametrize(("calls", "statuses"), CONTACTS_CALLS)
def test_contacts_answers_as_the_monolith(
    calls: list[Call], statuses: list[int], monolith: Running, contacts: Running
) -> None:
    """What is read piece by piece is judged as what is read at once."""
    _compare(calls, statuses, monolith, contacts, "contacts")


@pytest.mark.parametrize(("calls", "statuses"), PAYMENTS_CALLS)
def test_payments_answers_as_the_monolith(
    calls: list[Call], statuses: list[int], monolith: Running, payments: Running
) -> None:
    """Amounts of the seeded orders, brands, last digits, and every error."""
    _compare(calls, statuses, monolith, payments, "payments")


@pytest.mark.parametrize(("calls", "statuses"), USERS_CALLS)
def test_users_answers_as_the_monolith(
    calls: list[Call], statuses: list[int], monolith: Running, users: Running
) -> None:
    """Sign up, log in, read, list, and every error of them."""
    _compare(calls, statuses, monolith, users, "users")


@pytest.mark.parametrize(("calls", "statuses"), RECOMMENDATIONS_CALLS)
def test_recommendations_answers_as_the_monolith(
    calls: list[Call], statuses: list[int], monolith: Running, recommendations: Running
) -> None:
    """Scores agree to the last digit, ties are broken alike, and errors are the same."""
    _compare(calls, statuses, monolith, recommendations, "recommendations")


REPORTS = "/api/reports/nightly"
REPORTS_CALLS = [
    pytest.param([Call("GET", "/health"), Call("GET", REPORTS)], [200, 200], id="health, and the days"),
    pytest.param(
        [Call("GET", f"{REPORTS}/1999-01-01"), Call("GET", f"{REPORTS}/1999-01-01/x")], [404] * 2, id="not found"
    ),
    pytest.param([Call("GET", f"{REPORTS}/yesterday"), Call("GET", f"{REPORTS}/1-1-1")], [422] * 2, id="no day"),
    pytest.param([Call("DELETE", REPORTS), Call("POST", f"{REPORTS}/1999-01-01")], [405] * 2, id="not allowed"),
]


@pytest.mark.parametrize(("calls", "statuses"), REPORTS_CALLS)
def test_nightly_report_answers_as_the_monolith(
    calls: list[Call], statuses: list[int], monolith: Running, nightly_report: Running
) -> None:
    """List, read, and every error of them."""
    _compare(calls, statuses, monolith, nightly_report, "nightly-report")


def test_nightly_report_says_what_the_monolith_s_says(monolith: Running, nightly_report: Running) -> None:
    """From the same data the same report, figure for figure, kept under the same day."""
    run = Call("POST", REPORTS)
    control, candidate = run.to(monolith), run.to(nightly_report)
    if control.json()["day"] != candidate.json()["day"]:  # midnight has come between them
        control = run.to(monolith)

    assert control.status_code == 201
    assert described(candidate) == described(control)
    assert all(control.json()[question] for question in QUESTIONS)
    kept = Call("GET", control.headers["Location"])
    assert kept.to(nightly_report).json() == kept.to(monolith).json() == control.json()


def _compare(calls: list[Call], statuses: list[int], monolith: Running, service: Running, name: str) -> None:
    for call, status in zip(calls, statuses, strict=True):
        control, candidate = call.to(monolith), call.to(service)

        assert control.status_code == status, call
        assert described(candidate, name) == described(control, name), call
        assert (control.headers["X-Served-By"], candidate.headers["X-Served-By"]) == ("monolith", name)
