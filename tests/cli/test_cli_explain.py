"""`strangler explain`: the request as written, the listener, and the document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import main

TABLE = """\
version: 1
listeners:
  - name: web
    port: 8080
    default: {forward: monolith}
    rules:
      - name: bots
        priority: 5
        conditions: [{query-string: {utm_source: bot}}]
        fixed-response: {status_code: 403, content_type: text/plain, message_body: no bots}
      - name: users
        priority: 10
        conditions: [{host-header: api.mycompany.com}, {path-pattern: /api/users*}]
        forward: {monolith: 90, users: 10}
      - name: mobile
        priority: 20
        conditions: [{http-header: {User-Agent: "*Mobile*"}}]
        redirect: {host: m.mycompany.com, status_code: HTTP_302}
      - name: office
        priority: 30
        conditions: [{source-ip: 10.0.0.0/8}]
        fixed-response: {status_code: 200}
  - name: api
    port: 8081
    default: {fixed-response: {status_code: 404}}
target_groups:
  monolith: {targets: [http://localhost:8000]}
  users: {targets: [http://localhost:8001]}
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text(TABLE)
    return path


def explain(table: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["explain", "--json", "--config", str(table), *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def test_the_whole_document(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = explain(table, capsys, "--listener", "web", "GET", "http://api.mycompany.com/api/users?x=1")

    assert document["listener"] == "web"
    assert document["rule"] == {"name": "users", "priority": 10}
    assert document["action"] == "forward"
    assert document["target_groups"] == {"monolith": 90, "users": 10}
    assert document["redirect"] is None
    assert document["fixed_response"] is None
    assert document["forwarded"]["target"] == "/api/users?x=1"
    assert document["tried"] == [
        {
            "name": "bots",
            "priority": 5,
            "matched": False,
            "refused_by": {"condition": "query-string", "saw": "x=1"},
        },
        {"name": "users", "priority": 10, "matched": True, "refused_by": None},
    ]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        pytest.param(["GET", "http://x.com:8080/?utm_source=bot"], "bots", id="a query"),
        pytest.param(["-H", "User-Agent: A Mobile", "GET", "http://x.com:8080/"], "mobile", id="a header"),
        pytest.param(["--source-ip", "10.1.1.1", "GET", "http://x.com:8080/"], "office", id="a source address"),
        pytest.param(["GET", "http://x.com:8080/"], "default", id="no rule"),
        pytest.param(
            ["-H", "Host: api.mycompany.com", "GET", "http://x.com:8080/api/users"], "users", id="Host beats the URL"
        ),
        pytest.param(["--listener", "web", "-H", "host: api.mycompany.com", "GET", "/api/users"], "users", id="a path"),
        pytest.param(
            ["--target", "/api/users", "GET", "http://api.mycompany.com:8080/"], "users", id="the raw target counts"
        ),
        pytest.param(["GET", "http://api.mycompany.com:8080/x/../api/users"], "default", id="nothing is normalised"),
        pytest.param(["GET", "http://api.mycompany.com:8080//api/users"], "default", id="slashes are kept"),
        pytest.param(["GET", "http://x.com:8080/#?utm_source=bot"], "default", id="no client sends a fragment"),
        pytest.param(["GET", "http://x.com:8080?utm_source=bot"], "bots", id="a URL without a path"),
    ],
)
def test_which_rule(arguments: list[str], rule: str, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(table, capsys, *arguments)["rule"]["name"] == rule


@pytest.mark.parametrize(
    ("arguments", "listener"),
    [
        pytest.param(["GET", "http://x.com:8081/"], "api", id="by the URL's port"),
        pytest.param(["--listener", "api", "GET", "http://x.com:8080/"], "api", id="the name wins"),
    ],
)
def test_which_listener(arguments: list[str], listener: str, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(table, capsys, *arguments)["listener"] == listener


def test_the_only_listener_needs_no_port(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(
        "version: 1\nlisteners: [{port: 9, default: {forward: a}}]\ntarget_groups: {a: {targets: [http://a:1]}}\n"
    )

    assert explain(table, capsys, "GET", "https://x.com/")["listener"] == "HTTP-9"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        pytest.param("http://x.com:8080/a%2Fb/./../c?d=%20&&", "/a%2Fb/./../c?d=%20&&", id="as written"),
        pytest.param("http://x.com:8080/?a?b", "/?a?b", id="a second question mark"),
        pytest.param("http://x.com:8080/é", "/é", id="bytes of UTF-8"),
    ],
)
def test_what_a_target_gets(url: str, target: str, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(table, capsys, "GET", url)["forwarded"]["target"] == target


@pytest.mark.parametrize(
    ("raw", "host", "target"),
    [
        pytest.param("http://Other.com:9/a?b", "other.com:9", "/a?b", id="absolute-form goes as origin-form"),
        pytest.param("http://other.com?b", "other.com:8080", "/?b", id="absolute-form without a path"),
        pytest.param("*", "x.com:8080", "*", id="asterisk"),
        pytest.param("/a b", "x.com:8080", "/a%20b", id="a blank passes encoded"),
    ],
)
def test_what_a_target_gets_of_a_raw_target(
    raw: str, host: str, target: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = explain(table, capsys, "--target", raw, "OPTIONS", "http://x.com:8080/")
    assert document["forwarded"] == {"host": host, "target": target}


def test_names_that_the_listener_drops_are_not_there_for_the_rules(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("-H", "User_Agent: Mobile", "GET", "http://x.com:8080/")
    text = TABLE.replace("{User-Agent:", "{User_Agent:")
    table.write_text(text)
    assert explain(table, capsys, *asked)["rule"]["name"] == "mobile"
    table.write_text(text + "attributes: {routing.http.drop_invalid_header_fields.enabled: true}\n")
    assert explain(table, capsys, *asked)["rule"]["name"] == "default"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param(["TRACE", "http://x.com:8080/"], 405, id="TRACE"),
        pytest.param(["--target", "x.com:1", "CONNECT", "http://x.com:8080/"], 405, id="CONNECT"),
        pytest.param(["--target", "a/b", "GET", "http://x.com:8080/"], 400, id="a relative target"),
        pytest.param(["-H", "Host: a b", "GET", "http://x.com:8080/"], 400, id="a blank in Host"),
        pytest.param(["GET", "http://x.com:8080/" + "a" * 17_000], 414, id="a long target"),
        pytest.param(["-H", "Transfer-Encoding: x", "POST", "http://x.com:8080/"], 501, id="a transfer coding"),
        pytest.param(["-H", "X-Forwarded-For: a" + ",a" * 30, "GET", "http://x.com:8080/"], 463, id="31 addresses"),
    ],
)
def test_what_the_gateway_answers_before_any_rule(
    arguments: list[str], status: int, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "--config", str(table), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"the gateway answers {status}, no rule decides" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["GET", "http://x.com/"], "web (port 8080), api (port 8081)", id="no listener has port 80"),
        pytest.param(["--listener", "no", "GET", "http://x.com/"], "web (port 8080)", id="no such listener"),
        pytest.param(["GET", "ftp://x.com/"], "neither http", id="another scheme"),
        pytest.param(["GET", "http:///a"], "needs a host", id="no host"),
        pytest.param(["GET", "http://u:p@x.com/"], "without user", id="a user"),
        pytest.param(["GET", "http://x.com:8080/a b"], "percent-encode", id="a blank"),
        pytest.param(["G T", "http://x.com:8080/"], "is not a method", id="no method"),
        pytest.param(["-H", "nonsense", "GET", "http://x.com:8080/"], "Name: value", id="no header"),
        pytest.param(["-H", "A: b\r\nC: d", "GET", "http://x.com:8080/"], "line end", id="two headers in one"),
        pytest.param(["--source-ip", "x", "GET", "http://x.com:8080/"], "not an IP address", id="no address"),
        pytest.param(["--config", "/no/file", "GET", "http://x.com:8080/"], "cannot read", id="no table"),
    ],
)
def test_usage_errors(arguments: list[str], says: str, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["explain", "--config", str(table), *arguments])
    out, err = capsys.readouterr()

    assert (code, out) == (2, "")
    assert says in err


def test_a_bad_table_is_exit_code_2_with_its_problems(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(TABLE.replace("port: 8080", "port: 0"))

    assert main(["explain", "--json", "--config", str(table), "GET", "http://x.com:8080/"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "[out-of-range; API: ValidationError]" in err


def test_the_table_from_the_environment(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRANGLER_CONFIG", str(table))

    assert main(["explain", "GET", "http://x.com:8081/"]) == 0
    assert "404" in capsys.readouterr().out


def test_for_people(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--config", str(table), "GET", "http://api.mycompany.com:8080/api/users"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert "rule          users (priority 10)" in lines
    assert "target group  monolith, weight 90 (90 %)" in lines
    assert lines[-2].split() == ["5", "bots", "refused", "by", "query-string:", "saw", "nothing"]
    assert lines[-1].split() == ["10", "users", "matches"]


def test_for_people_about_a_redirect(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["explain", "--config", str(table), "-H", "User-Agent: Mobile", "GET", "http://x.com:8080/a?b=c"]

    assert main(arguments) == 0
    assert "302 to http://m.mycompany.com:8080/a?b=c" in capsys.readouterr().out


LOGIN_TABLE = """\
version: 1
listeners:
  - port: 8443
    protocol: HTTPS
    certificates: [{certificate_file: a.pem, private_key_file: a.key}]
    default:
      authenticate-oidc:
        issuer: https://id.mycompany.com
        authorization_endpoint: https://id.mycompany.com/authorize
        token_endpoint: https://id.mycompany.com/token
        user_info_endpoint: https://id.mycompany.com/userinfo
        client_id: the-client-id
        client_secret: ${EXPLAIN_TEST_SECRET}
        on_unauthenticated_request: deny
      forward: monolith
target_groups:
  monolith: {targets: [http://localhost:8000]}
"""


def test_a_login_is_shown_and_its_secret_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLAIN_TEST_SECRET", "the-client-secret")
    path = tmp_path / "routes.yaml"
    path.write_text(LOGIN_TABLE)

    assert main(["explain", "--config", str(path), "GET", "https://shop.mycompany.com:8443/"]) == 0

    out = capsys.readouterr().out
    assert "authenticate-oidc, issuer https://id.mycompany.com, else deny" in out
    assert "the-client" not in out
