"""x"""

from tests.conformance.rows import Row

ROWS: list[Row] = []
