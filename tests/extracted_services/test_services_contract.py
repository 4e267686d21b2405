"""A service answers as the monolith does: the same requests to both, status, type and body compared.

This is what a team needs before it moves the first per cent of its traffic.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from running_process import Running, running

from extracted_services.nightly_report.report import QUESTIONS

# What may differ, since it depends on the moment.
MOMENTARY = {"created_at"}
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
def nightly_report(monolith: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    source = {"NIGHTLY_REPORT_SOURCE": str(monolith.data / "shop.sqlite3")}
    with running("extracted_services.nightly_report", tmp_path_factory.mktemp("reports") / "data", source) as process:
        yield process


def described(response: httpx.Response) -> dict[str, Any]:
    """Return what must agree."""
    body = response.json()
    if isinstance(body, dict) and response.request.method == "POST":
        body = {key: "any" if key in MOMENTARY else value for key, value in body.items()}
    return {
        "status": response.status_code,
        "content-type": response.headers["Content-Type"],
        "location": response.headers.get("Location"),
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
        assert described(candidate) == described(control), call
        assert (control.headers["X-Served-By"], candidate.headers["X-Served-By"]) == ("monolith", name)
