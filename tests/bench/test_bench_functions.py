"""The verdict of bench.functions, and a short run of it."""

from __future__ import annotations

import pytest

from bench.functions import Latency, main, verdict_of


def latency(p50: float) -> Latency:
    return Latency(p50, 2 * p50, 3 * p50)


@pytest.mark.parametrize(
    ("through", "said", "holds"),
    [
        pytest.param(2.5, "PASS: 1.50 ms more at the median, 2.50 times; at most 1.5 ms are allowed", True, id="just"),
        pytest.param(2.6, "FAIL: 1.60 ms more at the median, 2.60 times; at most 1.5 ms are allowed", False, id="more"),
    ],
)
def test_the_verdict(through: float, said: str, holds: bool) -> None:
    assert verdict_of(latency(1.0), latency(through), 1.5) == (said, holds)


def test_quantiles_are_in_milliseconds() -> None:
    taken = Latency.of([number / 1000 for number in range(101)])
    assert (taken.p50, taken.p95, taken.p99) == pytest.approx((50.0, 95.0, 99.0))


def test_another_gateway_needs_its_host() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--through", "http://127.0.0.1:1/"])


def test_a_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    """However long it takes: only that both ways are measured."""
    assert main(["--calls", "20", "--limit-ms", "1000000"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("the host itself      p50 ")
    assert "PASS: " in said


def test_a_host_that_is_not_there_is_no_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.functions.START_SECONDS", 0.0)
    assert main(["--host", "http://127.0.0.1:1", "--calls", "2"]) == 2
    assert "no answer: http://127.0.0.1:1/" in capsys.readouterr().err
