"""The same traffic makes the same workload, whichever log it is read from."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from log_reading import PlainNames, by_name, workload_of
from observe_records import RECEIVED_AT, forwarded
from scripted_target import ScriptedTarget
from served import free_port, serving
from wire import Wire

from proxy.carveout.logs.layout import compile_layout
from proxy.carveout.logs.measure import Settings
from proxy.carveout.logs.outcome import Reading
from proxy.carveout.logs.reading import read_files
from proxy.carveout.workload import TransactionLoad
from proxy.observe.alb_lines import AlbLines
from proxy.observe.json_lines import JsonLines
from proxy.observe.record import RequestRecord
from proxy.rules.request import RequestView

NGINX_LAYOUT = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $bytes_sent $request_length "$http_user_agent" $msec'
    " $proxy_host $request_time $upstream_response_time $upstream_header_time"
)
MILLISECOND = 0.001
SLOW_SECONDS = 0.2
EXACT = ("request_bytes", "response_bytes", "errors", "client_errors", "writes", "sessions", "neighbours")


def records(count: int) -> list[RequestRecord]:
    draw = random.Random(3)
    made = []
    for number in range(count):
        lasted = draw.choice((0.003, 0.02, 0.7))
        peer, status = f"192.0.2.{draw.randrange(5)}", draw.choice((200, 200, 404, 500))
        view = RequestView.of("GET", f"/{draw.choice('abc')}?x=1", [("Host", "h"), ("User-Agent", "curl")], peer=peer)
        made.append(
            forwarded(
                view=view,
                client=peer,
                started_at=1_700_000_000 + number / 4,
                sent_at=RECEIVED_AT + 0.001,
                head_at=RECEIVED_AT + 0.001 + lasted,
                ended_at=RECEIVED_AT + 0.002 + lasted,
                status=status,
                target_status=status,
            )
        )
    return made


def nginx_line(record: RequestRecord) -> str:
    """As nginx would have logged it: milliseconds, at its end."""
    lived = record.ended_at - record.received_at
    target = record.ended_at - record.sent_at
    return (
        f'{record.client} - - [14/Nov/2023:22:13:20 +0000] "GET {record.view.target.decode()} HTTP/1.1" {record.status}'
        f' {record.response_bytes} {record.request_bytes} "curl" {record.started_at + lived:.3f} users {lived:.3f}'
        f" {target:.3f} {record.head_at - record.sent_at:.3f}"
    )


def test_one_traffic_in_three_formats() -> None:
    """Equal, but that a log has milliseconds."""
    made = records(200)
    alb, own = AlbLines(), JsonLines()
    workloads = {
        "json": workload_of([own.line(record) for record in made], "json", window_seconds=10),
        "alb": workload_of([alb.line(record) for record in made], "alb", window_seconds=10),
        "nginx": workload_of(list(map(nginx_line, made)), compile_layout(NGINX_LAYOUT), window_seconds=10),
    }
    truth = by_name(workloads["json"])

    for name, workload in workloads.items():
        assert workload.started_at == workloads["json"].started_at, name
        found = by_name(workload)
        assert found.keys() == truth.keys()
        for key, load in truth.items():
            other = found[key]
            for field in EXACT:
                assert getattr(other, field) == getattr(load, field), (name, key, field)
            assert other.requests == load.requests
            assert other.seconds == pytest.approx(load.seconds, abs=load.requests * 2 * MILLISECOND)
            assert other.first_byte_seconds == pytest.approx(
                load.first_byte_seconds, abs=load.requests * 2 * MILLISECOND
            )
            assert sum(map(abs, map(int.__sub__, other.counts, load.counts))) <= 0.1 * load.requests


TABLE = """
version: 1
listeners: [{{port: PORT, name: web, default: {{forward: monolith}}}}]
target_groups:
  monolith: {{targets: ["http://127.0.0.1:{target}"]}}
"""
NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    log_format timed '{layout}';
    access_log {folder}/nginx.log timed;
    upstream monolith {{ server 127.0.0.1:{port}; }}
    server {{ listen 127.0.0.1:{listen}; location / {{ proxy_pass http://monolith; }} }}
}}
"""


def answer(wire: Wire) -> None:
    """Each path has its status, and one takes its time."""
    for _ in range(10_000):
        start = wire.request().first_line
        status = b"404 Not Found" if b"/none" in start else b"500 Oops" if b"/broken" in start else b"200 OK"
        if b"/orders/7" in start:
            time.sleep(SLOW_SECONDS)
        wire.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")


@pytest.mark.system
def test_one_traffic_through_nginx_and_two_gateways(tmp_path: Path) -> None:
    """Real logs: each one sees the next, so all count the same, and see how slow the target is."""
    target = ScriptedTarget(answer)
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.mkdir()
    outer.mkdir()
    try:
        with (
            serving(inner, TABLE.format(target=target.port), "--access-log", str(inner / "access.log")) as last,
            serving(
                outer,
                TABLE.format(target=last.port),
                *("--access-log", str(outer / "access.log"), "--access-log-format", "alb"),
            ) as first,
        ):
            listen = free_port()
            (tmp_path / "nginx.conf").write_text(
                NGINX.format(folder=tmp_path, layout=NGINX_LAYOUT, port=first.port, listen=listen)
            )
            nginx = subprocess.Popen(["nginx", "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"])
            try:
                ask(f"http://127.0.0.1:{listen}")
            finally:
                nginx.terminate()
                nginx.wait(timeout=30)
            first.stop()
            last.stop()
    finally:
        target.close()

    by_nginx = read(tmp_path / "nginx.log", NGINX_LAYOUT)
    by_alb, by_json = read(outer / "access.log"), read(inner / "access.log")
    del by_json["GET /", "monolith"]  # The outer gateway's health checks are requests to the inner one.
    assert by_nginx.keys() == by_alb.keys() == by_json.keys()
    for key, load in by_json.items():
        for other in (by_alb[key], by_nginx[key]):
            for field in ("requests", "errors", "client_errors", "writes"):
                assert getattr(other, field) == getattr(load, field), (key, field)
    for found in (by_nginx, by_alb, by_json):
        slow = [load for (name, _), load in found.items() if name.endswith("/orders/7")]
        # Half of it is left to a machine that stops a process between an event and the look at the clock.
        assert sum(load.seconds for load in slow) >= 0.5 * SLOW_SECONDS * sum(load.requests for load in slow)


def ask(url: str) -> None:
    paths = ("/orders?x=1", "/orders/7", "/none", "/broken", "/a%20b;v=1?y=%22")
    with httpx.Client(base_url=url, headers={"User-Agent": 'an "agent" \\ of ours'}, timeout=30) as client:
        deadline = time.monotonic() + 30
        while True:
            try:
                client.get("/ready")
                break
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
        for number in range(40):
            client.request("POST" if number % 4 == 0 else "GET", paths[number % len(paths)], content=b"x" * 10)


def read(path: Path, format_text: str = "") -> dict[tuple[str, str], TransactionLoad]:
    reading: Reading = read_files([str(path)], PlainNames(), Settings(), format_text=format_text, threads=1)
    assert reading.bad_count == 0
    return by_name(reading.workload)
