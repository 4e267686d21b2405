"""Where an AWS service is, and how a request to it looks: the environment decides, as for the SDKs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from proxy.config.endpoint import Endpoint
from proxy.errors import IntegrationError
from proxy.integrations.message import Answer, HttpRequest, Reply
from proxy.integrations.sigv4 import Credentials, signed

DEFAULT_REGION = "us-east-1"


def region_of(environ: Mapping[str, str]) -> str:
    """The region that the environment names."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION


@dataclass(frozen=True, slots=True)
class Service:
    """One AWS service in one region.

    Args:
        name: As in signatures, such as `lambda`.
        credentials: None sends requests unsigned, which only a stand-in takes.
    """

    name: str
    region: str
    endpoint: Endpoint
    credentials: Credentials | None = None

    @classmethod
    def of(
        cls, name: str, environ: Mapping[str, str], *, url: str = "", region: str = "", variable: str = ""
    ) -> Service:
        """The service at `url`, else at AWS_ENDPOINT_URL_<NAME>, else at AWS_ENDPOINT_URL, else in AWS.

        Args:
            variable: What stands for <NAME> where it is not the name.

        Raises:
            BadEndpointError: The URL is none.
        """
        region = region or region_of(environ)
        own = f"AWS_ENDPOINT_URL_{variable or name.upper()}"
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        in_aws = f"https://{name}.{region}.{domain}"
        endpoint = Endpoint.parse(url or environ.get(own) or environ.get("AWS_ENDPOINT_URL") or in_aws)
        return cls(name, region, endpoint, Credentials.of(environ))

    def post(self, path: str, headers: Mapping[str, str], payload: bytes) -> bytes:
        """A whole POST request; signed if there are credentials."""
        path, sent = self.signed(path, headers, payload)
        lines = "".join([f"{name}: {value}\r\n" for name, value in sent.items()])
        return f"POST {path} HTTP/1.1\r\n{lines}Content-Length: {len(payload)}\r\n\r\n".encode("latin-1") + payload

    def signed(self, path: str, headers: Mapping[str, str], payload: bytes) -> tuple[str, Mapping[str, str]]:
        """The path and the headers of such a request, without its length."""
        endpoint = self.endpoint
        path = f"{endpoint.path}{path}"
        sent: Mapping[str, str] = {"Host": endpoint.authority, **headers}
        if self.credentials is not None:
            sent = signed(
                sent,
                payload,
                self.credentials,
                path=path,
                region=self.region,
                service=self.name,
                now=time.time(),
            )
        return path, sent


class Integration(Protocol):
    """One way of giving a request to a service.

    Attributes:
        max_body_bytes: Larger requests are refused.
        max_reply_bytes: Larger replies are cut off; `answer` then judges what there is.
        prefix: Of the reasons that are the connection's and not the service's.
        is_repeatable: Whether a call may be made twice, whatever the request's method.
        timeout_seconds: After which the call is given up; 0 leaves it to the idle timeout.
    """

    service: Service
    prefix: str
    is_repeatable: bool
    max_body_bytes: int
    max_reply_bytes: int
    timeout_seconds: float

    def ask(self, request: HttpRequest) -> bytes:
        """The request to the service; raise `IntegrationError` for a request that it cannot have."""

    def answer(self, reply: Reply) -> Answer:
        """What the client gets; raise `IntegrationError` for what went wrong."""

    def told(self, error: IntegrationError) -> IntegrationError:
        """The error as the client is to see it."""
