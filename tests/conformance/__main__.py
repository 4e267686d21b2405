"""Write docs/conformance.md."""

from tests.conformance.table import PAGE, page

PAGE.write_text(page())
