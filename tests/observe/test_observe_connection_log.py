"""Lines of the connection log, read back by the regular expression that AWS documents for Athena."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from athena import FIELD, connection_log_row

from proxy.observe.connection_log import ConnectionLog, line
from proxy.tls import TlsSession


@dataclass
class Closed:
    """A connection as the listener door leaves it."""

    peer: str = "192.0.2.7"
    client_port: int = 40000
    port: int = 8080
    opened_at: float = 0.0
    conn_trace_id: str = "TID_00112233445566778899aabbccddeeff"
    tls: TlsSession | None = None


def test_a_whole_line() -> None:
    text = line(Closed(), 1_700_000_000.25)

    assert text == (
        '2023-11-14T22:13:20.250000Z 192.0.2.7 40000 8080 - - - "-" - - - TID_00112233445566778899aabbccddeeff'
    )
    assert len(FIELD.findall(text)) == 12
    row = connection_log_row(text)
    assert (row["client_ip"], row["client_port"], row["listener_port"]) == ("192.0.2.7", "40000", "8080")
    assert row["conn_trace_id"] == "TID_00112233445566778899aabbccddeeff"


def test_an_ipv6_client_has_its_port_in_a_field_of_its_own() -> None:
    assert connection_log_row(line(Closed(peer="2001:db8::7"), 0.0))["client_ip"] == "2001:db8::7"


def test_the_time_is_that_of_the_opening(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = ConnectionLog.open(str(path))
    log.record(Closed(opened_at=time.perf_counter() - 86_400))
    log.close()

    (text,) = path.read_text().splitlines()
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86_400))
    assert re.fullmatch(rf"{day}T\d\d:\d\d:\d\d\.\d{{6}}Z", connection_log_row(text)["time"])


def test_the_log_is_opened_again_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = ConnectionLog.open(str(path))
    path.rename(tmp_path / "log.1")
    log.reopen()
    log.record(Closed())
    log.close()

    assert len(path.read_text().splitlines()) == 1
    assert log.dropped == 0
