"""What the admin port answers, with a gateway that only remembers."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from admin_fakes import CONFIG, PROBLEM, WARNING, FakeGateway, FakeGroup, FakeReload, FakeRuntime, get, post
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from proxy import __version__
from proxy.admin.app import STATIC_FILES, create_admin
from proxy.config.model import ForwardConfig, LoginConfig
from proxy.observe.live import ReloadState


def test_livez_needs_nothing() -> None:
    response = get(create_admin(FakeGateway(runtime=None)), "/livez")

    assert (response.status_code, response.json()) == (200, {"alive": True})


def with_groups(**states: dict[str, str]) -> FakeRuntime:
    return FakeRuntime(groups={name: FakeGroup(name, targets) for name, targets in states.items()})


def with_default(*weights: tuple[str, int]) -> FakeRuntime:
    web = replace(CONFIG.listeners[0], default=ForwardConfig(weights))
    return FakeRuntime(replace(CONFIG, listeners=(web,)))


@pytest.mark.parametrize(
    ("runtime", "reasons"),
    [
        pytest.param(FakeRuntime(), [], id="a healthy default target, whatever the other groups have"),
        pytest.param(None, ["no table has been loaded"], id="no table"),
        pytest.param(
            with_groups(monolith={"a:1": "initial", "b:1": "unhealthy"}),
            [
                "listener web: target group monolith has no healthy target: "
                "a:1 initial (Target.Timeout), b:1 unhealthy (Target.Timeout)"
            ],
            id="no target passed its health check",
        ),
        pytest.param(with_groups(monolith={"a:1": "unhealthy", "b:1": "healthy"}), [], id="one of two is enough"),
        pytest.param(with_groups(monolith={"a:1": "unavailable"}), [], id="health checks switched off"),
        pytest.param(
            with_groups(monolith={"a:1": "draining"}),
            ["listener web: target group monolith has no healthy target: a:1 draining (Target.Timeout)"],
            id="a target that drains takes nothing new",
        ),
        pytest.param(
            FakeRuntime(groups={"monolith": FakeGroup("monolith", {}, "monolith: name not known")}),
            ["listener web: target group monolith has no target: monolith: name not known"],
            id="a name that does not resolve",
        ),
        pytest.param(
            with_default(("monolith", 1), ("users", 0)), [], id="a group of weight 0 does not have to be there"
        ),
        pytest.param(
            with_default(("monolith", 1), ("users", 1)),
            ["listener web: target group users has no healthy target: 10.0.0.2:8000 unhealthy (Target.Timeout)"],
            id="a part of the default traffic would fail",
        ),
        pytest.param(
            with_default(("monolith", 0)),
            ["listener web: every weight of the default forward is 0"],
            id="every weight is 0",
        ),
    ],
)
def test_readyz(runtime: FakeRuntime | None, reasons: list[str]) -> None:
    response = get(create_admin(FakeGateway(runtime)), "/readyz")

    assert response.json() == {"ready": not reasons, "reasons": reasons}
    assert response.status_code == (503 if reasons else 200)


def test_not_ready_before_the_ports_are_open() -> None:
    response = get(create_admin(FakeGateway(is_listening=False)), "/readyz")
    assert (response.status_code, response.json()["reasons"]) == (503, ["the listeners' ports are not open"])


def test_a_bad_reload_does_not_make_it_unready() -> None:
    """The table before it serves on."""
    gateway = FakeGateway(reload_state=ReloadState(False, 1.0, {"failure": 1}, (PROBLEM,)))

    assert get(create_admin(gateway), "/readyz").status_code == 200


@pytest.mark.parametrize(
    ("accept", "content_type", "parse"),
    [
        pytest.param("*/*", "text/plain", parse_text, id="text by default"),
        pytest.param(
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text",
            parse_openmetrics,
            id="OpenMetrics for Prometheus",
        ),
    ],
)
def test_metrics(accept: str, content_type: str, parse: Any) -> None:
    gateway = FakeGateway()
    gateway.record("users", "users", 200, 0.2)
    response = get(create_admin(gateway), "/metrics", headers={"accept": accept})

    assert response.headers["content-type"].startswith(content_type)
    (requests,) = (metric for metric in parse(response.text) if metric.name == "strangler_requests")
    assert [sample.value for sample in requests.samples] == [1.0]


def test_rules_in_the_order_they_are_tried_with_their_counts() -> None:
    gateway = FakeGateway()
    gateway.record("users", "users", 200, 0.2)
    gateway.record("users", "monolith", 502, 0.02, "Target.Failed")
    web, internal = get(create_admin(gateway), "/api/rules").json()["listeners"]

    assert (web["name"], web["port"], web["protocol"]) == ("web", 8080, "HTTP")
    assert [(rule["name"], rule["priority"]) for rule in web["rules"]] == [
        ("users", 10),
        ("bots", 20),
        ("mobile", 30),
        ("default", None),
    ]
    users, bots, mobile, default = web["rules"]
    assert (users["hits"], users["errors"], users["last_hit"]) == (2, 1, 1_700_000_100.0)
    assert sum(users["durations"]["counts"]) == 2
    assert users["durations"]["sum"] == pytest.approx(0.22)
    assert len(users["durations"]["counts"]) == len(users["durations"]["bounds"]) + 1
    assert users["action"]["target_groups"] == {"monolith": 90, "users": 10}
    assert [condition["field"] for condition in users["conditions"]] == ["host-header", "path-pattern"]
    assert users["conditions"][1]["regex_values"] == ["^/api/users"]
    assert bots["action"]["fixed_response"]["status_code"] == 403
    assert bots["conditions"][0]["pairs"] == [
        {"key": "utm_source", "value": "bot"},
        {"key": None, "value": "x"},
    ]
    assert mobile["action"]["redirect"]["host"] == "m.mycompany.com"
    assert mobile["conditions"][0]["header_name"] == "User-Agent"
    assert (default["hits"], default["last_hit"], default["conditions"]) == (0, None, [])
    assert internal["rules"][0]["action"]["type"] == "fixed-response"


def test_target_groups() -> None:
    groups = get(create_admin(FakeGateway()), "/api/target-groups").json()["target_groups"]

    assert [(group["name"], group["targets"][0]["state"]) for group in groups] == [
        ("monolith", "healthy"),
        ("users", "unhealthy"),
    ]
    assert groups[1]["targets"][0]["reason"] == "Target.Timeout"


def test_status() -> None:
    gateway = FakeGateway()
    gateway.record("users", "users", 200, 0.2)
    gateway.record("users", "users", 503, 0.2, "Target.None")
    status = get(create_admin(gateway), "/api/status").json()

    assert status["version"] == __version__
    assert status["uptime_seconds"] >= 0
    assert status["totals"] == {
        "requests": 2,
        "elb_errors": 1,
        "cut_responses": 0,
        "in_flight": 1,
        "access_log_dropped": 0,
    }
    assert (status["reload"]["successful"], status["reload"]["counts"]) == (True, {"success": 1})
    assert status["reload"]["problems"][0]["code"] == WARNING.code


@pytest.mark.parametrize("path", ["/api/status", "/api/rules", "/api/target-groups"])
def test_state_before_the_first_table(path: str) -> None:
    assert get(create_admin(FakeGateway(runtime=None)), path).status_code == 200


def test_reload_of_a_good_table() -> None:
    gateway = FakeGateway(next_reload=FakeReload(problems=(WARNING,)))
    response = post(create_admin(gateway), "/api/reload")

    assert response.status_code == 200
    assert response.json() == {
        "ok": True,
        "changed": True,
        "problems": [
            {
                "severity": "warning",
                "code": "unreachable-rule",
                "line": 9,
                "column": 7,
                "path": "listeners[0].rules[1]",
                "message": "never wins",
                "api_code": None,
            }
        ],
    }
    assert gateway.reloads == 1


def test_reload_of_a_bad_table_answers_as_check_does() -> None:
    gateway = FakeGateway(next_reload=FakeReload(ok=False, problems=(PROBLEM,), changed=False))
    response = post(create_admin(gateway), "/api/reload")

    assert response.status_code == 422
    assert response.json() == {
        "ok": False,
        "problems": [
            {
                "severity": "error",
                "code": "unknown-key",
                "line": 3,
                "column": 5,
                "path": "listeners[0].prot",
                "message": "unknown key prot; did you mean port?",
                "api_code": "ValidationError",
            }
        ],
    }


def test_reload_is_not_a_thing_to_get() -> None:
    gateway = FakeGateway()

    assert get(create_admin(gateway), "/api/reload").status_code == 405
    assert gateway.reloads == 0


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/static/../app.py", 404), ("/api/reload", 405)])
def test_errors_are_json(path: str, status: int) -> None:
    response = get(create_admin(FakeGateway()), path)

    assert response.status_code == status
    assert response.json()["error"]


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_need_nothing_from_elsewhere(path: str) -> None:
    app = create_admin(FakeGateway())
    page = get(app, path)
    references = _References()
    references.feed(page.text)

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert references.found
    for reference in references.found:
        if reference != "data:,":
            assert get(app, "/" + reference.removeprefix("./")).status_code == 200, reference


@pytest.mark.parametrize("path", STATIC_FILES)
def test_no_static_file_names_another_host_or_makes_html_of_data(path: str) -> None:
    """Rule names and problems are shown as text only: a table must not be able to script the page."""
    text = get(create_admin(FakeGateway()), path).text

    assert not re.search(r"https?://[a-z]", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_public_keys_are_told_by_their_id() -> None:
    app = create_admin(FakeGateway())

    known = get(app, "/api/oidc-public-keys/known")
    assert (known.status_code, known.text, known.headers["content-type"]) == (200, "PEM", "application/x-pem-file")
    assert get(app, "/api/oidc-public-keys/other").status_code == 404


def test_the_api_document_tells_all_routes_and_their_answers() -> None:
    document = get(create_admin(FakeGateway()), "/openapi.json").json()

    assert set(document["paths"]) == {
        "/livez",
        "/readyz",
        "/metrics",
        "/api/status",
        "/api/overview",
        "/api/live/requests",
        "/api/rules",
        "/api/target-groups",
        "/api/oidc-public-keys/{kid}",
        "/api/candidates",
        "/api/coverage",
        "/api/progress",
        "/api/explain",
        "/api/reload",
        "/api/transactions",
        "/api/transactions/names",
    }
    reload = document["paths"]["/api/reload"]["post"]
    assert {"200", "401", "403", "422"} == set(reload["responses"])
    assert reload["security"]
    assert all(operation["description"] for path in document["paths"].values() for operation in path.values())


@pytest.mark.parametrize(
    "path", ["/readyz", "/api/status", "/api/rules", "/api/target-groups", "/api/transactions/names"]
)
def test_what_is_answered_has_the_documented_fields(path: str) -> None:
    app = create_admin(FakeGateway())
    document = get(app, "/openapi.json").json()
    reference = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]

    assert set(schema["properties"]) == set(get(app, path).json())


def test_a_rule_s_authentication_is_shown_without_its_secret() -> None:
    login = LoginConfig(
        "authenticate-cognito",
        "https://cognito.example/pool",
        "https://pool.example/authorize",
        "https://pool.example/token",
        "https://pool.example/userinfo",
        "the-client-id",
        "the-client-secret",
    )
    web = replace(CONFIG.listeners[0], default_authentication=login)
    response = get(create_admin(FakeGateway(FakeRuntime(replace(CONFIG, listeners=(web,))))), "/api/rules")

    *others, default = response.json()["listeners"][0]["rules"]
    assert default["authentication"] == {
        "type": "authenticate-cognito",
        "issuer": "https://cognito.example/pool",
        "on_unauthenticated_request": "authenticate",
    }
    assert {rule["authentication"] for rule in others} == {None}
    assert "the-client" not in response.text
