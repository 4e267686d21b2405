"""How sure a share or a rank is: the windows are drawn again, in blocks, and everything is computed anew.

Moving block bootstrap (Künsch 1989; circular, Politis and Romano 1992): neighbouring windows are alike, so they are
drawn together; single windows would make every interval too narrow.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 200
BLOCK_SECONDS: Final = 300.0
LEAST_BLOCKS: Final = 4
INTERVAL: Final = (0.05, 0.95)
"""Intervals hold nine of ten draws."""

DAY: Final = 86_400.0
HOUR: Final = 3600.0
LEAST_REQUESTS: Final = 200
LEAST_WINDOWS: Final = 8
"""Fewer windows with traffic than these are too few to draw from."""

Grade = Literal["A", "B", "C"]
State = Literal["collecting", "ready"]


def window_weights(windows: int, window_seconds: float, seed: int, draws: int = DRAWS) -> NDArray[np.float64]:
    """A column for each draw: how often each window is in it. The columns' sums are all about `windows`."""
    if not windows:
        return np.zeros((0, draws))
    generator = np.random.default_rng(seed)
    longest = max(windows // LEAST_BLOCKS, 1)
    block = min(max(int(np.ceil(BLOCK_SECONDS / window_seconds)), round(windows ** (1 / 3)), 1), longest)
    blocks = max(round(windows / block), 1)
    starts = generator.integers(0, windows, (draws, blocks))
    chosen = (starts[:, :, None] + np.arange(block)) % windows
    weights = np.zeros((windows, draws))
    np.add.at(weights, (chosen.reshape(draws, -1), np.arange(draws)[:, None]), 1.0)
    return weights


def stability(ranks: NDArray[np.int64], rank: int, top: int = 5) -> float:
    """The share of draws in which a candidate of this rank stays among the first `top`, or as far up as it is.

    Args:
        ranks: Its rank in each draw, from 1.
    """
    return float(np.mean(ranks <= max(rank, top)))


def grade(share: float, low: float, high: float, stable: float, seconds: float) -> Grade:
    """How far a candidate can be relied on.

    A: a day was seen, 19 of 20 draws leave it where it is, its share is known to a quarter of itself either way.
    B: an hour was seen, 4 of 5 draws, to a half. Else C.
    """
    width = max(high - share, share - low) / share if share > 0.0 else np.inf
    if seconds >= DAY and stable >= 0.95 and width <= 0.25:
        return "A"
    if seconds >= HOUR and stable >= 0.8 and width <= 0.5:
        return "B"
    return "C"


def state(requests: int, seconds: float, windows: int) -> State:
    """`collecting` below 200 requests, a day, or 8 windows with traffic: a day's peak has not been seen."""
    enough = requests >= LEAST_REQUESTS and seconds >= DAY and windows >= LEAST_WINDOWS
    return "ready" if enough else "collecting"
