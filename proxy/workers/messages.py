"""What supervisor and worker tell each other, beside the words in `proxy.workers`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from proxy.carveout.naming import Template
from proxy.carveout.transactions import Sample
from proxy.config.problem import Place, Problem
from proxy.runtime import Runtime
from proxy.targets.group import Member


def members_of(runtime: Runtime) -> dict[str, list[list[Any]]]:
    """Every target of every group with its health, for the workers' groups to mirror."""
    return {name: [list(member) for member in group.members()] for name, group in runtime.groups.items()}


def mirror_members(runtime: Runtime, members: Mapping[str, list[list[Any]]]) -> None:
    """Make the groups of a worker's table what the supervisor says they are."""
    for name, group in runtime.groups.items():
        group.mirror([Member(*member) for member in members.get(name, [])])


def loads_of(runtime: Runtime) -> dict[str, dict[str, list[int]]]:
    """Requests in flight, ever sent, and of those that failed, by group and target."""
    return {
        name: {target.id: [target.in_flight, target.requests, target.failures] for target in group.targets}
        for name, group in runtime.groups.items()
    }


def problem_to_json(problem: Problem) -> list[Any]:
    """A problem as a list that `problem_from_json` reads."""
    place = problem.place
    return [problem.severity, problem.code, place.line, place.column, place.path, problem.message]


def problem_from_json(parts: list[Any]) -> Problem:
    """The problem that `problem_to_json` wrote."""
    severity, code, line, column, path, message = parts
    return Problem(severity, code, Place(line, column, path), message)


def samples_to_json(samples: Iterable[Sample]) -> list[list[Any]]:
    """Requests to learn from as `samples_from_json` reads them."""
    return [[method.decode("latin-1"), path.decode("latin-1"), *rest] for method, path, *rest in samples]


def samples_from_json(samples: Iterable[list[Any]]) -> list[Sample]:
    """The requests that `samples_to_json` wrote."""
    return [
        (method.encode("latin-1"), path.encode("latin-1"), status, client) for method, path, status, client in samples
    ]


def templates_to_json(templates: Iterable[Template]) -> list[dict[str, Any]]:
    """Names as `templates_from_json` reads them."""
    return [template.as_json() for template in templates]


def templates_from_json(templates: Iterable[dict[str, Any]]) -> list[Template]:
    """The names that `templates_to_json` wrote."""
    return [Template.from_json(template) for template in templates]
