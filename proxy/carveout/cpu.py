"""Which transactions use the target's CPU: a regression of its CPU time on what was completed (docs/candidates.md).

In each window the target used `c + sum(requests_i * cost_i)` seconds of CPU: utilisation by transaction mix. Costs are
not negative. What completed is regressed on, not what arrived: under overload these differ.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from proxy.carveout.workload import TransactionLoad, Workload

MIN_WINDOWS: Final = 30
"""Windows with CPU and requests, without which nothing is said."""
MAX_REGRESSORS: Final = 40
"""Transactions that have a cost of their own, those with the most time; the rest share one."""

Matrix = NDArray[np.float64]


def cpu_shares(workload: Workload, target_group: str) -> dict[str, float]:
    """Name to its share of the CPU that requests of this target group use; empty when too little is known.

    What the target uses whatever it is asked (the constant of the regression) is in no share.
    """
    used = workload.cpu_seconds.get(target_group)
    loads = [load for load in workload.transactions if load.target_group == target_group]
    if not used or not loads:
        return {}
    loads.sort(key=lambda load: -load.seconds)
    own, rest = loads[:MAX_REGRESSORS], loads[MAX_REGRESSORS:]
    target = np.asarray(used, dtype=float)
    columns = [_requests(load, len(used)) for load in own]
    if rest:
        columns.append(np.sum([_requests(load, len(used)) for load in rest], axis=0))
    counts = np.column_stack(columns)
    known = (target > 0) & (counts.sum(axis=1) > 0)
    if known.sum() < max(MIN_WINDOWS, 2 * counts.shape[1] // 3):
        return {}
    design = np.column_stack([counts[known], np.ones(int(known.sum()))])
    # Windows with more requests vary more: each is weighted by the square root of its own.
    weight = 1 / np.sqrt(counts[known].sum(axis=1))
    costs = nnls(design * weight[:, None], target[known] * weight)
    cpu = counts.sum(axis=0) * costs[:-1]
    total = float(cpu.sum())
    if total <= 0:
        return {}
    shares = {load.name: float(value) / total for load, value in zip(own, cpu, strict=False)}
    if rest:
        requests = float(counts[:, -1].sum()) or 1.0
        shares |= {load.name: float(cpu[-1]) / total * load.requests / requests for load in rest}
    return shares


def _requests(load: TransactionLoad, windows: int) -> Matrix:
    counts = np.zeros(windows)
    for index, window in load.windows.items():
        if 0 <= index < windows:
            counts[index] = window.requests
    return counts


def nnls(matrix: Matrix, target: Matrix, *, tolerance: float = 1e-10) -> Matrix:
    """The non-negative `x` for which `matrix @ x` is nearest to `target` (Lawson and Hanson 1974, chapter 23)."""
    count = matrix.shape[1]
    scale = np.sqrt((matrix * matrix).sum(axis=0))
    scale[scale == 0] = 1.0
    matrix = matrix / scale
    solution = np.zeros(count)
    is_free = np.zeros(count, dtype=bool)
    for _ in range(3 * count):
        gradient = matrix.T @ (target - matrix @ solution)
        gradient[is_free] = -np.inf
        best = int(np.argmax(gradient))
        if is_free.all() or gradient[best] <= tolerance:
            break
        is_free[best] = True
        for _ in range(count):
            free = np.zeros(count)
            free[is_free] = np.linalg.lstsq(matrix[:, is_free], target, rcond=None)[0]
            wrong = is_free & (free <= tolerance)
            if not wrong.any():
                solution = free
                break
            steps = solution[wrong] / (solution[wrong] - free[wrong])
            solution = solution + float(steps.min()) * (free - solution)
            is_free &= solution > tolerance
    return np.asarray(np.maximum(solution, 0.0) / scale)
