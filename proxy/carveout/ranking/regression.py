"""Which transactions use the CPU: one number a window for all of them is enough, because their mix changes.

Regression is on completed requests: what arrives under overload is not what is worked on. Each transaction gets a
factor, CPU seconds for each second of work, that is not negative. Transactions that come and go together cannot be told
apart by any regression; a prior, that all factors are alike, shares their CPU out by their work instead of at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LIKELY_SPREAD: Final = 0.5
"""Of the factors around their mean, as a standard deviation: work is anything from all waiting to all CPU."""
LIKELY_BACKGROUND: Final = 0.1
"""Of the CPU that is used by no request, as a part of all."""
MOST_STEPS: Final = 200

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """CPU seconds of each row for one second of its work, and the variance of what the rows do not explain."""

    factors: Array
    noise: float


def fit_cpu(work: Array, cpu_seconds: Array, weights: Array, window_seconds: float, known: Fit | None = None) -> Fit:
    """Regress CPU on work.

    Args:
        work: By row and window: seconds of work of the requests that ended in the window.
        cpu_seconds: Of all rows together and of what runs besides, by window.
        weights: How often each window counts.
        known: A fit to the same windows counted otherwise, whose noise is taken as it is.
    """
    if not (weights.sum() and work.any()):
        return Fit(np.zeros(len(work) + 1), 0.0)
    design = np.vstack([work, np.full(work.shape[1], window_seconds)])
    weighted = design * weights
    gram = weighted @ design.T
    moment = weighted @ cpu_seconds
    used = float(cpu_seconds @ weights)
    mean = min(used / float((work.sum(axis=0) * weights).sum()), 4.0)
    prior = np.append(np.full(len(work), mean), 0.0)
    spread = np.append(
        np.full(len(work), LIKELY_SPREAD),
        max(LIKELY_BACKGROUND * used / (float(weights.sum()) * window_seconds), 1e-12),
    )
    factors = prior
    noise = known.noise if known else float(weights @ (cpu_seconds - prior @ design) ** 2 / weights.sum())
    for _ in range(1 if known else 3):  # the noise and the fit depend on one another; they settle at once
        ridge = max(noise, 1e-12) / spread**2
        factors = nonnegative_solution(gram + np.diag(ridge), moment + ridge * prior, known.factors if known else None)
        if known is None:
            freedom = max(float(weights.sum()) - len(work) / 2, 1.0)
            noise = float(weights @ (cpu_seconds - factors @ design) ** 2 / freedom)
    return Fit(factors, noise)


def nonnegative_solution(gram: Array, moment: Array, guess: Array | None = None) -> Array:
    """The x >= 0 for which x'Gx/2 - m'x is least, by the active set method of Lawson and Hanson (1974, chapter 23).

    Args:
        gram: Positive definite.
        guess: What is positive in it is likely to be in the solution.
    """
    size = len(moment)
    solution = np.zeros(size)
    free = np.zeros(size, dtype=bool) if guess is None else guess > 0.0
    scale = np.maximum(np.abs(moment), 1.0) * 1e-10
    while free.any():  # of the guess, what turns out positive
        solution = _solution_of(gram, moment, free)
        if (solution[free] > 0.0).all():
            break
        free &= solution > 0.0
    solution[~free] = 0.0
    for _ in range(MOST_STEPS):
        gradient = moment - gram @ solution
        gradient[free] = -np.inf
        entering = int(np.argmax(gradient))
        if free.all() or gradient[entering] <= scale[entering]:
            break
        free[entering] = True
        while free.any():
            wanted = _solution_of(gram, moment, free)
            if (wanted[free] > 0.0).all():
                solution = wanted
                break
            blocking = free & (wanted <= 0.0)
            steps = solution[blocking] / np.maximum(solution[blocking] - wanted[blocking], 1e-300)
            solution = solution + float(steps.min()) * (wanted - solution)
            free &= solution > 1e-12
            solution[~free] = 0.0
    return solution


def _solution_of(gram: Array, moment: Array, free: NDArray[np.bool_]) -> Array:
    wanted = np.zeros(len(moment))
    index = np.flatnonzero(free)
    wanted[index] = np.linalg.solve(gram[np.ix_(index, index)], moment[index])
    return wanted
