"""The schedules of a team, read from a YAML file; keys are those of EventBridge Scheduler's API in snake case."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from extracted_services.scheduler.due import Missed
from extracted_services.scheduler.expressions import parse_expression


class ConfigError(Exception):
    """The file cannot be used; the message names file, place, value and remedy."""


class Schedule(BaseModel):
    """When a command is to run, and what it may take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[0-9a-zA-Z-_.]{1,64}$")]
    schedule_expression: str
    schedule_expression_timezone: str = "UTC"
    command: Annotated[list[str], Field(min_length=1)]
    missed: Missed = Missed.LAST
    timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] = 3600

    @model_validator(mode="after")
    def _expression_is_read(self) -> Schedule:
        parse_expression(self.schedule_expression, self.schedule_expression_timezone, datetime.now(UTC))
        return self

    def is_over(self, now: datetime) -> bool:
        """Whether it will never be due again: a year that is past, or a day that no month has."""
        recurrence = parse_expression(self.schedule_expression, self.schedule_expression_timezone, now)
        return next(iter(recurrence.after(now)), None) is None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schedules: Annotated[list[Schedule], Field(min_length=1)]


def load_schedules(path: Path) -> list[Schedule]:
    """Read and check the file.

    Raises:
        ConfigError
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: this is no file of schedules; begin it with schedules: and a list")
    try:
        schedules = _File.model_validate(content).schedules
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors())
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems)) from error
    names = [schedule.name for schedule in schedules]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: there are two schedules {name!r}; give each a name of its own")
    return schedules
