"""Background work outlives its errors."""

from __future__ import annotations

import asyncio
import logging

import pytest

from proxy.repeating import repeat


def test_work_goes_on_after_an_error_which_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    tries = 0
    worked = asyncio.Event()

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries in (1, 2, 3, 5):
            raise ValueError(f"try {tries}")
        if tries == 6:
            worked.set()

    async def run() -> None:
        task = asyncio.create_task(repeat(work, 0, "counting"))
        async with asyncio.timeout(30):
            await worked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())

    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["try 1", "try 5"]
