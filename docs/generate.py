"""Writes what the docs say of the language from the code that reads it.

python docs/generate.py [--check]

Between `<!-- NAME -->` and `<!-- /NAME -->` of a page stands a table. `--check` writes nothing, and returns 1 if
something is not up to date.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from proxy.config.reference import not_supported_yet, reference  # noqa: E402
from proxy.config.schema import json_schema  # noqa: E402


def pages() -> dict[Path, str]:
    """Each file that is (partly) generated, with the text it should have."""
    schema = json_schema()
    tables = {"not-yet": not_supported_yet(schema), "reference": reference(schema)}
    found = {REPOSITORY / "docs/routes.schema.json": json.dumps(schema, indent=2) + "\n"}
    for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))):
        text = before = page.read_text(encoding="utf-8")
        for name, table in tables.items():
            pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
            text = re.sub(
                pattern, lambda match, table=table: f"{match[1]}\n{table}\n\n{match[2]}", text, flags=re.DOTALL
            )
        if text != before or "<!-- /" in text:
            found[page] = text
    return found


def main() -> int:
    """Write the pages, or with `--check` say which are old."""
    old = [page for page, text in pages().items() if not page.exists() or page.read_text(encoding="utf-8") != text]
    for page in old:
        if "--check" in sys.argv:
            print(f"{page.relative_to(REPOSITORY)} is not up to date: run make docs", file=sys.stderr)
        else:
            page.write_text(pages()[page], encoding="utf-8")
    return 1 if old and "--check" in sys.argv else 0


if __name__ == "__main__":
    raise SystemExit(main())
