"""Makes the repository and the shared helpers importable for every test."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
for _folder in (REPOSITORY / "tests" / "support", REPOSITORY):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))
