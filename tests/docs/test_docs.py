"""The docs say what the code does, and lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.schema import json_schema

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def test_generated_parts_are_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())

    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "docs/routes-yaml.md", "docs/shifting-traffic.md"])
def test_whole_tables_load(page: str) -> None:
    """Every example that begins with `version: 1` is a table that `strangler check` accepts."""
    examples = re.findall(r"```yaml\n(version: 1\n.*?)```", (REPOSITORY / page).read_text(), re.DOTALL)

    assert examples
    for example in examples:
        assert load(example, {}).listeners


def test_every_key_of_the_language_is_in_the_reference() -> None:
    """Also those deep inside: what the schema knows, the page names."""
    page = (REPOSITORY / "docs/routes-yaml.md").read_text()
    names: set[str] = set()
    waiting: list[object] = [json_schema()]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            names |= set(part.get("properties", {}))
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part

    assert sorted(name for name in names if f"`{name}`" not in page) == []


def test_every_page_is_reached_from_the_readme() -> None:
    readme = (REPOSITORY / "README.md").read_text()

    assert [page.name for page in PAGES[1:] if f"docs/{page.name}" not in readme] == []
