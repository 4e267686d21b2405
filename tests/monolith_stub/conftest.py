import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from running_process import Running, running


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One monolith for all tests that only add to its data."""
    with running("monolith_stub", tmp_path_factory.mktemp("monolith") / "data") as process:
        yield process
