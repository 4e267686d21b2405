"""Clients that people use, through the gateway: curl, httpx, aiohttp."""

import asyncio
import hashlib
import json
import subprocess

import aiohttp
import httpx
import pytest

BODY = bytes(range(256)) * 4000


@pytest.fixture
def echo(target):
    """Answers with what it got, as JSON, in chunks when asked for /chunked."""
    one = target()

    def script(wire):
        while True:
            request = one.take(wire)
            seen = {
                "line": request.first_line.decode("latin-1"),
                "headers": [[name.decode(), value.decode("latin-1")] for name, value in request.headers],
                "sha256": hashlib.sha256(request.body).hexdigest(),
                "size": len(request.body),
            }
            body = json.dumps(seen).encode()
            if b"/chunked" in request.target:
                chunks = b"".join(
                    b"%x\r\n%s\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7)
                )
                wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunks, b"0\r\n\r\n")
            else:
                wire.send(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body),
                    b"" if request.method == b"HEAD" else body,
                )

    one.script = script
    return one


def _curl(*arguments, data=None):
    done = subprocess.run(["curl", "-sS", "--max-time", "15", *arguments], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.system
@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        (["--http1.1"], 0),
        (["--http1.0"], 0),
        (["--http1.1", "--data-binary", "@-"], len(BODY)),
        (["--http1.1", "-T", "-"], len(BODY)),
        (["--http1.1", "-H", "Expect: 100-continue", "--expect100-timeout", "10", "--data-binary", "@-"], len(BODY)),
        (["--http1.1", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-"], len(BODY)),
        (["--http1.0", "--data-binary", "@-"], len(BODY)),
    ],
    ids=["get", "get 1.0", "post", "put in chunks", "expect", "post in chunks", "post 1.0"],
)
@pytest.mark.parametrize("path", ["/plain", "/chunked"])
def test_curl(gateway, echo, arguments, size, path):
    live = gateway(echo.port)
    answer = json.loads(_curl(*arguments, f"http://127.0.0.1:{live.port}{path}", data=BODY if size else None))
    assert answer["size"] == size
    assert answer["sha256"] == hashlib.sha256(BODY if size else b"").hexdigest()
    live.record()


@pytest.mark.system
def test_curl_keeps_its_connection_for_the_next_url(gateway, echo):
    live = gateway(echo.port)
    url = f"http://127.0.0.1:{live.port}/plain"
    out = _curl(
        "--http1.1", "-w", "%{num_connects}\n", "-o", "/dev/null", url, "-o", "/dev/null", url, "-o", "/dev/null", url
    )
    assert out.split() == [b"1", b"0", b"0"]
    live.record(3)


@pytest.mark.parametrize("door", ["listener", "asgi"])
def test_httpx(gateway, echo, door):
    live = gateway(echo.port, door=door)
    with httpx.Client(base_url=f"http://127.0.0.1:{live.port}", trust_env=False) as client:
        assert client.get("/plain", params={"a": "b c"}).json()["line"] == "GET /plain?a=b+c HTTP/1.1"
        assert client.post("/chunked", content=BODY).json()["size"] == len(BODY)
        assert client.put("/plain", content=iter([BODY, b"", BODY])).json()["size"] == 2 * len(BODY)
        assert client.head("/plain").status_code == 200
        with client.stream("GET", "/chunked") as response:
            assert json.loads(b"".join(response.iter_bytes()))["size"] == 0
    live.record(5)


@pytest.mark.parametrize("door", ["listener", "asgi"])
def test_aiohttp_with_fifty_requests_at_once(gateway, echo, door):
    live = gateway(echo.port, door=door)

    async def one(session, number):
        path = "/chunked" if number % 2 else "/plain"
        async with session.post(f"http://127.0.0.1:{live.port}{path}", data=BODY[:number]) as response:
            return (await response.json(content_type=None))["size"]

    async def run():
        async with aiohttp.ClientSession() as session:
            return await asyncio.gather(*(one(session, number) for number in range(50)))

    assert asyncio.run(run()) == list(range(50))
    live.record(50)
