"""Where a service is, by the table and the environment."""

from __future__ import annotations

import pytest

from proxy.config.endpoint import BadEndpointError, Endpoint
from proxy.config.model import FunctionConfig
from proxy.integrations.function import service_of
from proxy.integrations.service import Service

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:users"


@pytest.mark.parametrize(
    ("name", "url", "environ", "host"),
    [
        pytest.param("f", "", {}, "lambda.us-east-1.amazonaws.com", id="nothing said"),
        pytest.param("f", "", {"AWS_DEFAULT_REGION": "eu-west-3"}, "lambda.eu-west-3.amazonaws.com", id="a region"),
        pytest.param(
            "f", "", {"AWS_DEFAULT_REGION": "a", "AWS_REGION": "b"}, "lambda.b.amazonaws.com", id="AWS_REGION first"
        ),
        pytest.param(ARN, "", {"AWS_REGION": "b"}, "lambda.eu-west-1.amazonaws.com", id="the region of the ARN first"),
        pytest.param("f", "", {"AWS_REGION": "cn-north-1"}, "lambda.cn-north-1.amazonaws.com.cn", id="China"),
        pytest.param("f", "", {"AWS_ENDPOINT_URL": "http://all:1"}, "all:1", id="one endpoint for all services"),
        pytest.param(
            "f",
            "",
            {"AWS_ENDPOINT_URL": "http://all:1", "AWS_ENDPOINT_URL_LAMBDA": "http://own:2"},
            "own:2",
            id="the service's own endpoint first",
        ),
        pytest.param(
            "f", "http://table:3", {"AWS_ENDPOINT_URL_LAMBDA": "http://own:2"}, "table:3", id="the table first"
        ),
    ],
)
def test_where_a_function_is(name: str, url: str, environ: dict[str, str], host: str) -> None:
    service = service_of(FunctionConfig(name, "users", endpoint=url), environ)

    assert service.endpoint.authority == host


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:9000", Endpoint("http", "localhost", 9000)),
        ("https://a.b", Endpoint("https", "a.b", 443)),
        ("http://a/base/", Endpoint("http", "a", 80, "/base")),
        ("http://[::1]:9000", Endpoint("http", "::1", 9000)),
    ],
)
def test_endpoints(url: str, expected: Endpoint) -> None:
    assert Endpoint.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:9000",
        "ftp://a",
        "http://",
        "http://a:x",
        "http://a:70000",
        "http://u@a",
        "http://a?b",
        "http://a b",
    ],
)
def test_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(BadEndpointError, match="is not the URL of an endpoint"):
        Endpoint.parse(url)


def test_an_unsigned_request() -> None:
    service = Service("lambda", "us-east-1", Endpoint("http", "::1", 9000, "/base"))

    assert service.post("/x", {"A": "b"}, b"{}") == (
        b"POST /base/x HTTP/1.1\r\nHost: [::1]:9000\r\nA: b\r\nContent-Length: 2\r\n\r\n{}"
    )
