"""Each service has its own copy of what it needs for traces: a mistake that is mended in one is mended in all."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", ["tracing.py", "request_log.py"])
def test_the_copies_are_the_same(module: str) -> None:
    files = [*REPOSITORY.glob(f"extracted_services/*/{module}"), REPOSITORY / "monolith_stub" / module]
    texts = {file.read_text().replace(".".join(file.relative_to(REPOSITORY).parts[:-1]), "PACKAGE") for file in files}
    assert len(files) >= 7
    assert len(texts) == 1


@pytest.mark.parametrize(
    "service", ["users", "recommendations", "contacts", "payments", "uploads", "nightly_report", "email"]
)
def test_what_sends_spans_is_installed_with_the_service(service: str) -> None:
    requirements = (REPOSITORY / "extracted_services" / service / "requirements.txt").read_text()
    assert "opentelemetry-exporter-otlp-proto-http" in requirements
