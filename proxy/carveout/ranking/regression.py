"""Which transactions use the CPU: one number a window for all of them is enough, because their mix changes.

Regression is on completed requests: what arrives under overload is not what is worked on. Each transaction gets a
factor, CPU seconds for each second of work, that is not negative. Transactions that come and go together cannot be told
apart by any regression; a prior, that all factors are alike, shares their CPU out by their work instead of at random.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

LIKELY_SPREAD: Final = 0.5
"""Of the factors around their mean, as a standard deviation: work is anything from all waiting to all CPU."""
LIKELY_BACKGROUND: Final = 0.1
"""Of the CPU that is used by no request, as a part of all."""
MOST_STEPS: Final = 200

Array = NDArray[np.float64]


def cpu_of(work: Array, cpu_seconds: Array, weights: Array, window_seconds: float) -> Array:
    """The CPU seconds of each row for one second of its work.

    Args:
        work: By row and window: seconds of work of the requests that ended in the window.
        cpu_seconds: Of all rows together and of what runs besides, by window.
        weights: How often each window counts.
    """
    if not (weights.sum() and work.any()):
        return np.zeros(len(work))
    design = np.vstack([work, np.full(work.shape[1], window_seconds)])
    gram = (design * weights) @ design.T
    moment = (design * weights) @ cpu_seconds
    total = float((work.sum(axis=0) * weights).sum())
    mean = min(float((cpu_seconds * weights).sum()) / total, 4.0)
    used = float((cpu_seconds * weights).sum()) / (float(weights.sum()) * window_seconds)
    prior = np.append(np.full(len(work), mean), 0.0)
    spread = np.append(np.full(len(work), LIKELY_SPREAD), max(LIKELY_BACKGROUND * used, 1e-12))
    factors = prior
    noise = float((weights * (cpu_seconds - prior @ design) ** 2).sum() / weights.sum())
    for _ in range(3):  # the noise and the fit depend on one another; they settle at once
        ridge = np.diag(noise / spread**2)
        factors = nonnegative_solution(gram + ridge, moment + ridge @ prior)
        freedom = max(float(weights.sum()) - len(work) / 2, 1.0)
        noise = float((weights * (cpu_seconds - factors @ design) ** 2).sum() / freedom)
    return factors[:-1]


def nonnegative_solution(gram: Array, moment: Array) -> Array:
    """The x >= 0 for which x'Gx/2 - m'x is least, by the active set method of Lawson and Hanson (1974, chapter 23)."""
    size = len(moment)
    solution = np.zeros(size)
    free = np.zeros(size, dtype=bool)
    scale = np.maximum(np.abs(moment), 1.0) * 1e-10
    for _ in range(MOST_STEPS):
        gradient = moment - gram @ solution
        gradient[free] = -np.inf
        entering = int(np.argmax(gradient))
        if free.all() or gradient[entering] <= scale[entering]:
            break
        free[entering] = True
        while True:
            wanted = np.zeros(size)
            wanted[free] = np.linalg.lstsq(gram[np.ix_(free, free)], moment[free], rcond=None)[0]
            if (wanted[free] > 0.0).all():
                solution = wanted
                break
            blocking = free & (wanted <= 0.0)
            steps = solution[blocking] / np.maximum(solution[blocking] - wanted[blocking], 1e-300)
            solution = solution + float(steps.min()) * (wanted - solution)
            free &= solution > 1e-12
            solution[~free] = 0.0
            if not free.any():
                break
    return solution
