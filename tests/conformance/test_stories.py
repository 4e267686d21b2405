"""Rows of several requests hold."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.gateway_bench import Bench
from tests.conformance.rows import Door, Story
from tests.conformance.stage import Stage
from tests.conformance.table import rows_by_door


@rows_by_door(Story)
def test_story(bench: Callable[[Door], Bench], row: Story, door: Door) -> None:
    stage = Stage(bench(door), row)
    try:
        for step in row.steps:
            stage.play(step)
    finally:
        stage.close()
