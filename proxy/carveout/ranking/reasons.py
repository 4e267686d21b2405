"""Why a transaction is a candidate, in sentences.

The reasons are a longer than average response time, or resource needs that differ from the rest: big payloads, heavy
queries, heavy CPU, bandwidth, data to be kept safe.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from proxy.carveout.ranking.bundles import split_name
from proxy.carveout.ranking.signals import EaseParts
from proxy.carveout.workload import TransactionLoad

LONGER: Final = 1.5
"""Times the average from which a difference is worth a sentence."""
LARGE_PAYLOAD_BYTES: Final = 65_536
BANDWIDTH_SHARE: Final = 0.15
QUERY_SHARE: Final = 0.5
LONG_SECONDS: Final = 0.1
"""Below, a transaction is not called slow whatever the average is."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What sentences are made of: of the candidate, and of the whole monolith.

    `cpu_share` is None where CPU is not known; `queued` is the part of its seconds that it waited for others.
    """

    rows: Sequence[TransactionLoad]
    request_share: float
    work_share: float
    cpu_share: float | None
    mean_work: float
    mean_work_of_all: float
    bytes_share: float
    queued: float | None


def reasons(facts: Facts, ease: EaseParts, sensitive: Collection[str]) -> list[str]:
    """Sentences, the most important first; the last one is about how easy it is."""
    requests = max(sum(row.requests for row in facts.rows), 1)
    found = [f"{facts.work_share:.0%} of the monolith's work in {_percent(facts.request_share)} of its requests."]
    if facts.mean_work >= LONGER * facts.mean_work_of_all and facts.mean_work >= LONG_SECONDS:
        times = facts.mean_work / facts.mean_work_of_all
        found.append(
            f"Long response time: {duration(facts.mean_work)} of work a request, {times:.1f} times the average."
        )
    uploaded = sum(row.request_bytes for row in facts.rows) / requests
    downloaded = sum(row.response_bytes for row in facts.rows) / requests
    if uploaded >= LARGE_PAYLOAD_BYTES:
        found.append(f"Big payloads: {size(uploaded)} come with a request.")
    if downloaded >= LARGE_PAYLOAD_BYTES:
        found.append(f"Big payloads: {size(downloaded)} go out with a response.")
    if facts.bytes_share >= BANDWIDTH_SHARE and facts.bytes_share >= LONGER * facts.request_share:
        found.append(f"Bandwidth: {facts.bytes_share:.0%} of all bytes.")
    heavy_cpu = facts.cpu_share is not None and facts.cpu_share >= LONGER * facts.request_share
    if heavy_cpu and facts.cpu_share is not None and facts.cpu_share >= 0.05:
        found.append(f"Heavy CPU: {facts.cpu_share:.0%} of the monolith's CPU time.")
    if sentence := _queries(facts, requests, uploaded + downloaded, heavy_cpu=heavy_cpu):
        found.append(sentence)
    if marked := [row.name for row in facts.rows if is_sensitive(row.name, sensitive)]:
        what = marked[0] if len(marked) == 1 else f"{len(marked)} of its transactions"
        found.append(f"Sensitive data, as you say ({what}): apart, less code and fewer people come near it.")
    if facts.queued is not None and facts.queued >= 0.5:
        found.append(
            f"{facts.queued:.0%} of its response time is waiting for other requests, and not counted as its own."
        )
    found.append(_ease_sentence(ease))
    return found


def _queries(facts: Facts, requests: int, payload: float, *, heavy_cpu: bool) -> str | None:
    """As the monolith reports its database time, or else what looks like it, said as carefully."""
    seconds = sum(row.seconds for row in facts.rows)
    database = sum(row.database_seconds for row in facts.rows)
    if database:
        share = database / seconds if seconds else 0.0
        return f"Heavy queries: {share:.0%} of its time is in the database." if share >= QUERY_SHARE else None
    first_byte = sum(row.first_byte_seconds for row in facts.rows)
    is_slow = facts.mean_work >= LONGER * facts.mean_work_of_all and facts.mean_work >= LONG_SECONDS
    only_reads = not any(row.writes for row in facts.rows)
    if is_slow and only_reads and not heavy_cpu and payload < LARGE_PAYLOAD_BYTES and first_byte >= 0.8 * seconds > 0.0:
        return f"Heavy queries, it seems: it reads, works long before the first byte, and answers with {size(payload)}."
    return None


def _ease_sentence(ease: EaseParts) -> str:
    parts = [f"{_percent(ease.write_share)} writes" if ease.write_share else "only reads"]
    if ease.session_crossing >= 0.01:
        parts.append(f"{ease.session_crossing:.0%} of its sessions go on to a transaction it is coupled with")
    if ease.state_penalty >= 0.01:
        parts.append("it sets cookies")
    if ease.streaming_or_upload >= 0.01:
        parts.append("it streams or takes large uploads")
    verdict = "Easy to move" if ease.ease >= 0.7 else "Harder to move" if ease.ease < 0.4 else "To move"
    return f"{verdict}: {', '.join(parts)}."


def is_sensitive(name: str, sensitive: Collection[str]) -> bool:
    """Whether the user said so of this transaction, by name or path; `*` stands for any run of characters."""
    split = split_name(name)
    texts = [name] if split is None else [name, split[1]]
    return any(fnmatchcase(text, pattern.replace("[", "[[]")) for pattern in sensitive for text in texts)


def duration(seconds: float) -> str:
    """`1.2 s` or `85 ms`."""
    return f"{seconds:.1f} s" if seconds >= 1.0 else f"{seconds * 1000:.0f} ms"


def size(number: float) -> str:
    """`2.1 MB`, `300 kB` or `40 bytes`."""
    if number >= 1e6:
        return f"{number / 1e6:.1f} MB"
    return f"{number / 1e3:.0f} kB" if number >= 1e3 else f"{number:.0f} bytes"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 or not share else "under 1%"
