"""Candidates, coverage and progress on the admin port."""

from __future__ import annotations

import asyncio
from typing import Any

from admin_fakes import FakeGateway, get
from workloads import transaction, workload

from proxy.admin.app import create_admin
from proxy.admin.carveout import FRESH_SECONDS, MOST_KEPT, CandidatesCache
from proxy.config.problem import Place, Problem
from proxy.observe.live import ReloadState
from proxy.rules.request import RequestView

SHOP = workload(
    transaction("GET /api/recommendations/{user}", each=20, mean=2.0),
    transaction("GET /api/products/{id}", each=300, mean=0.05),
    transaction("GET /api/users/{id}", each=50, mean=0.1, group="users"),
)


def test_candidates_of_the_live_workload() -> None:
    """The monolith is the default action's group; the rule has a free priority, and its group is new."""
    document = get(create_admin(FakeGateway(measured=SHOP)), "/api/candidates").json()

    assert [candidate["name"] for candidate in document["candidates"]] == [
        "GET /api/recommendations/{user}",
        "GET /api/products/{id}",
    ]
    first = document["candidates"][0]
    assert first["patterns"] == ["/api/recommendations/*"]
    assert "priority: 40\n" in first["rule"]
    assert first["rule_target_group"].startswith("recommendations:\n")
    assert document["state"] == "ready"


def test_the_user_says_what_is_sensitive_and_what_the_monolith_is() -> None:
    admin = create_admin(FakeGateway(measured=SHOP))

    document = get(admin, "/api/candidates?monolith=users&sensitive=/api/users/*").json()

    (candidate,) = document["candidates"]
    assert any(reason.startswith("Sensitive data, as you say") for reason in candidate["reasons"])


def test_no_traffic_yet_is_an_answer() -> None:
    document = get(create_admin(FakeGateway()), "/api/candidates").json()

    assert (document["candidates"], document["state"], document["requests"]) == ([], "collecting", 0)


def test_an_answer_is_given_again_for_a_while_and_few_are_kept() -> None:
    now = [100.0]
    gateway = FakeGateway(measured=SHOP)
    cache = CandidatesCache(gateway, lambda: now[0])

    async def run() -> None:
        first, second = await asyncio.gather(cache.get((), ()), cache.get((), ()))
        assert first is second
        assert gateway.asked_for_workload == 1
        now[0] += FRESH_SECONDS
        assert await cache.get((), ()) is not first
        for number in range(2 * MOST_KEPT):
            await cache.get((f"/{number}",), ())
        assert len(cache._kept) == MOST_KEPT

    asyncio.run(run())


def coverage_of(gateway: FakeGateway) -> dict[str, dict[str, Any]]:
    rules = get(create_admin(gateway), "/api/coverage").json()["rules"]
    return {f"{rule['listener']}/{rule['rule']}": rule for rule in rules}


def test_coverage_of_rules_and_values() -> None:
    gateway = FakeGateway()
    assert gateway.runtime is not None
    samples = gateway.metrics.condition_samples
    samples.serving(gateway.runtime.config.listeners)
    for _ in range(4):
        gateway.record("bots", "", 403, 0.01)
    for query, at in (("utm_source=bot", 10.0), ("utm_source=bot&q=x", 20.0)):
        samples.count([("web", "bots", RequestView.of("GET", f"/?{query}", [("Host", "a")]), at)])

    rules = coverage_of(gateway)

    bots = rules["web/bots"]
    assert (bots["hits"], bots["sampled"], bots["never"]) == (4, 2, False)
    assert bots["conditions"] == [
        {"field": "query-string", "value": "utm_source=bot", "hits": 4, "last_hit": 20.0},
        {"field": "query-string", "value": "x", "hits": 2, "last_hit": 20.0},
    ]
    assert rules["web/users"]["never"]
    assert [value["value"] for value in rules["web/users"]["conditions"]] == ["api.mycompany.com", "^/api/users"]
    assert rules["web/mobile"]["conditions"][0]["value"] == "User-Agent: *Mobile*"
    assert rules["internal/default"]["conditions"] == []


def test_a_rule_that_is_proven_to_lose_says_to_whom() -> None:
    gateway = FakeGateway()
    assert gateway.runtime is not None
    place = Place(30, 9, "listeners[0].rules[2]")
    listener = gateway.runtime.config.listeners[0]
    object.__setattr__(listener.rules[2], "place", place)
    try:
        problem = Problem("warning", "never-wins", place, 'rule "mobile" can never win: ...')
        gateway.reload_state = ReloadState(True, 1.0, {}, (problem,))

        assert coverage_of(gateway)["web/mobile"]["shadowed_by"] == problem.message
        assert coverage_of(gateway)["web/bots"]["shadowed_by"] is None
    finally:
        object.__setattr__(listener.rules[2], "place", listener.rules[1].place)


def test_coverage_needs_a_table() -> None:
    answer = get(create_admin(FakeGateway(runtime=None)), "/api/coverage")

    assert answer.status_code == 503
    assert "no table" in answer.json()["error"]


def test_progress() -> None:
    admin = create_admin(FakeGateway())

    assert get(admin, "/api/progress?days=7").json()["ready_to_delete"][0]["days"] == 7.0
    assert get(admin, "/api/progress?days=-1").status_code == 422
