"""Transforms on the wire (alb.md 4): what the target gets, and what the client gets instead of it."""

import pytest
from wire import connect

from proxy.config.model import (
    ConditionConfig,
    FixedResponseConfig,
    ForwardConfig,
    LoadBalancerAttributes,
    RedirectConfig,
    RuleConfig,
    TransformConfig,
)

TO_TARGETS = ForwardConfig((("targets", 1),))
V2 = TransformConfig("url-rewrite", "(^/api(/)?)", "/v2$2")
BARE = TransformConfig("url-rewrite", "^/api", "")
INTERNAL = TransformConfig("host-header-rewrite", "^(.+)\\.example\\.com", "$1.internal")
PRESERVED = LoadBalancerAttributes(preserve_host_header=True)


def api(*transforms, action=TO_TARGETS):
    # A wildcard does not take control bytes, a regex does.
    return (RuleConfig("api", 1, (ConditionConfig("path-pattern", regex_values=("^/api",)),), action, transforms),)


def ask(live, target=b"/api/v1/users", host=b"shop.example.com", extra=b""):
    with connect(live.port) as client:
        client.send(b"GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (target, host, extra))
        return client.response()


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        pytest.param(b"/api/v1/users", b"/v2/v1/users", id="4.2 live example"),
        pytest.param(b"/api/T10%3A30?a=%3A&b[]=", b"/v2/T10:30?a=%3A&b[]=", id="4.3 decoded path, query as sent"),
        pytest.param(
            b"/api/a%20b%0d%0aX-Evil:%201%0d%0a", b"/v2/a%20b%0d%0aX-Evil:%201%0d%0a", id="no line ends in between"
        ),
        pytest.param(b"http://shop.example.com/api/x", b"/v2/x", id="absolute-form"),
        pytest.param(b"/other/%41%3a", b"/other/%41%3a", id="another rule's request"),
    ],
)
def test_the_target_gets_the_rewritten_url(gateway, target, sent, got):
    one = target()
    live = gateway(one.port, rules=api(V2))

    assert ask(live, sent).status == 200

    record = live.record()
    (request,) = one.requests
    assert request.target == got
    assert request.value("x-evil") is None
    assert request.value("host") == b"shop.example.com:%d" % live.port
    assert record.view.target == sent
    assert record.transformed_uri.endswith(got) or (got == sent and not record.transformed_uri)
    assert record.transformed_host == b""


@pytest.mark.parametrize("attributes", [LoadBalancerAttributes(), PRESERVED], ids=["host not preserved", "preserved"])
@pytest.mark.parametrize(
    ("host", "extra", "got"),
    [
        pytest.param(b"Shop.example.com", b"", b"shop.internal", id="no port is added"),
        pytest.param(b"shop.example.com:81", b"", b"shop.internal:81", id="none is taken off"),
        pytest.param(b"shop.example.com", b"Host: other.com\r\n", b"shop.internal", id="the only one of two"),
        pytest.param(b"shop.example.com", b"Connection: X-A\r\nX-A: 1\r\n", b"shop.internal", id="in a rewritten head"),
    ],
)
def test_the_target_gets_the_rewritten_host_as_it_stands(gateway, target, attributes, host, extra, got):
    one = target()
    live = gateway(one.port, rules=api(INTERNAL), attributes=attributes)

    assert ask(live, host=host, extra=extra).status == 200

    record = live.record()
    (request,) = one.requests
    assert request.values("host") == [got]
    assert request.target == b"/api/v1/users"
    assert request.values("x-a") == []
    assert request.value("x-forwarded-for") == b"127.0.0.1"
    assert (record.transformed_host, record.transformed_uri) == (got, b"")
    assert record.view.host_port == host.lower()


def test_a_request_after_a_rewritten_one_has_its_own_host(gateway, target):
    one = target()
    live = gateway(one.port, rules=api(INTERNAL))

    with connect(live.port) as client:
        for path in (b"/api", b"/plain", b"/api"):
            client.send(b"GET %s HTTP/1.1\r\nHost: shop.example.com\r\n\r\n" % path)
            assert client.response().status == 200

    plain = b"shop.example.com:%d" % live.port
    assert [request.value("host") for request in one.requests] == [b"shop.internal", plain, b"shop.internal"]


def test_the_body_goes_along(gateway, target):
    one = target()
    live = gateway(one.port, rules=api(V2, INTERNAL))

    with connect(live.port) as client:
        client.send(b"POST /api/x HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 5\r\n\r\nhello")
        assert client.response().status == 200

    (request,) = one.requests
    assert (request.first_line, request.body) == (b"POST /v2/x HTTP/1.1", b"hello")


def test_a_redirect_is_made_from_the_rewritten_request(gateway):
    """alb.md 4.4; the port is the listener's."""
    live = gateway(rules=api(V2, action=RedirectConfig(302, protocol="HTTPS", port="80")))

    response = ask(live, host=b"api.example.com")

    assert (response.status, response.value("location")) == (302, b"https://api.example.com:80/v2/v1/users")
    assert live.record().transformed_uri == b"/v2/v1/users"


def test_a_fixed_response_stays_what_it_is(gateway):
    live = gateway(rules=api(V2, action=FixedResponseConfig(404, "text/plain", "gone")))

    response = ask(live)

    assert (response.status, response.body) == (404, b"gone")


@pytest.mark.parametrize("action", [TO_TARGETS, RedirectConfig(302, host="b.com")], ids=["forward", "redirect"])
def test_a_failing_transform_is_a_500(gateway, target, action):
    one = target()
    live = gateway(one.port, rules=api(BARE, action=action))

    with connect(live.port) as client:
        client.send(b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
        failed = client.response()
        client.send(b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().status == 200

    assert (failed.status, failed.value("content-type")) == (500, b"text/html")
    assert [request.target for request in one.requests] == [b"/plain"]
    record = live.records.all[0]
    assert (record.rule, record.status, record.target_status, record.reason) == ("api", 500, 0, "Transform.Failed")
