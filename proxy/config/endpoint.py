"""Where a service takes requests, as a URL in the table or in the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import urlsplit


class BadEndpointError(ValueError):
    """What stands where the URL of an endpoint should."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service takes requests; `path` has no slash at its end."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Of `http://host:port/path`, port and path optional; raise `BadEndpointError`."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BadEndpointError(f"{url!r} is not the URL of an endpoint: {error}") from error
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.username
            or parts.query
            or parts.fragment
        ):
            raise BadEndpointError(f"{url!r} is not the URL of an endpoint: write http://host:port")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise BadEndpointError(f"{url!r} is not the URL of an endpoint: it has a character that no URL has")
        scheme = cast(Literal["http", "https"], parts.scheme)
        return cls(scheme, parts.hostname, port or (443 if scheme == "https" else 80), parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """What the Host header has: the port only if it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """`http://host:port/`, without the path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/"
