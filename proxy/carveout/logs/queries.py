"""From `fields` to what a workload is made of: the same SQL on every engine, which `dialect` puts in its words.

Moments and durations are whole microseconds from here on, so that sums do not depend on an engine's order of adding.
"""

from __future__ import annotations

from typing import Final

from proxy.carveout.workload import FINE_BUCKETS

PARSED: Final = r"""
WITH told AS (
  SELECT *, regexp_extract(url, '^(?:[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)?([^?#]*)', 1) AS found,
    ended_at IS NOT NULL AND started_at IS NOT NULL AND seconds IS NOT NULL AND method IS NOT NULL
      AND url IS NOT NULL AND status IS NOT NULL AND target_group IS NOT NULL AND asked IS NOT NULL AS is_told
  FROM fields
)
SELECT CASE WHEN is_told THEN NULL ELSE file END AS file,
  CASE WHEN is_told THEN NULL ELSE line END AS bad_line, is_told,
  CAST(round(ended_at * 1000000) AS BIGINT) AS ended_us, CAST(round(started_at * 1000000) AS BIGINT) AS started_us,
  CAST(round(seconds * 1000000) AS BIGINT) AS lasted_us,
  CAST(round(coalesce(first_byte, 0) * 1000000) AS BIGINT) AS first_byte_us,
  method, CASE WHEN found = '' THEN '/' ELSE found END AS path,
  substring(md5(concat(coalesce(client_ip, ''), ' ', coalesce(user_agent, ''))), 1, 12) AS client,
  target_group, status, coalesce(request_bytes, 0) AS request_bytes, coalesce(response_bytes, 0) AS response_bytes,
  asked, is_stream
FROM told
"""
"""One row a line. A line that does not tell enough is kept as `bad_line`; clients are hashed at once."""

REQUESTS: Final = "SELECT * FROM parsed WHERE is_told"

OVERVIEW: Final = """
SELECT count(*) AS lines, sum(CASE WHEN is_told THEN 1 ELSE 0 END) AS told,
  sum(CASE WHEN is_told AND asked THEN 1 ELSE 0 END) AS asked,
  min(CASE WHEN asked THEN ended_us END) AS first_us, max(CASE WHEN asked THEN ended_us END) AS last_us
FROM parsed
"""

BAD_LINES: Final = "SELECT file, bad_line FROM parsed WHERE NOT is_told LIMIT {limit}"

SAMPLE: Final = """
SELECT method, path, status, client FROM (
  SELECT method, path, status, client, ended_us, md5(concat(client, path, CAST(ended_us AS VARCHAR))) AS draw
  FROM requests WHERE asked
) AS drawn WHERE draw < '{below}' ORDER BY ended_us, draw LIMIT {limit}
"""
"""The requests that names are learned from, in the order of time; the same ones each time and on each engine."""

NAMED: Final = f"""
WITH of_targets AS (
  SELECT *, {{name}} AS name, CAST(lasted_us AS DOUBLE) / 1000000 AS lasted FROM requests WHERE asked
)
SELECT name, target_group, client, ended_us, started_us, lasted_us, first_byte_us, lasted, status,
  request_bytes, response_bytes, is_stream,
  (ended_us - {{origin_us}}) // {{window_us}} AS time_window,
  CAST(ceil(round(2 * log2(CASE WHEN lasted < {FINE_BUCKETS[0]} THEN {FINE_BUCKETS[0]}
    WHEN lasted > {FINE_BUCKETS[-1]} THEN {FINE_BUCKETS[-1] * 1.4} ELSE lasted END / {FINE_BUCKETS[0]}), 9)) AS INT)
    AS bucket,
  CASE WHEN method IN ('GET', 'HEAD', 'OPTIONS', 'TRACE') THEN 0 ELSE 1 END AS is_write
FROM of_targets
"""
"""Requests that a target was asked, by name. The bucket is an index into `FINE_BUCKETS`: they grow by a root of two."""

WINDOWS: Final = """
SELECT name, target_group, time_window, count(*) AS requests, sum(lasted_us) AS lasted_us
FROM named WHERE NOT is_stream GROUP BY name, target_group, time_window
"""

TOTALS: Final = """
SELECT name, target_group, CASE WHEN is_stream THEN -1 ELSE bucket END AS bucket, count(*) AS requests,
  sum(first_byte_us) AS first_byte_us, sum(lasted * lasted) AS squared,
  sum(CASE WHEN lasted_us > {objective_us} THEN lasted_us - {objective_us} ELSE 0 END) AS slow_us,
  sum(request_bytes) AS request_bytes, sum(response_bytes) AS response_bytes,
  sum(CASE WHEN status >= 500 THEN 1 ELSE 0 END) AS errors,
  sum(CASE WHEN status BETWEEN 400 AND 499 THEN 1 ELSE 0 END) AS client_errors, sum(is_write) AS writes,
  max(ended_us) AS last_us
FROM named GROUP BY name, target_group, CASE WHEN is_stream THEN -1 ELSE bucket END
"""

MARKS: Final = """
WITH ends AS (
  SELECT target_group, name, time_window, started_us, lasted_us, step,
    CASE WHEN step > 0 THEN started_us WHEN lasted_us > 0 THEN started_us + lasted_us ELSE started_us + 1 END AS at_us
  FROM named CROSS JOIN (VALUES (1), (-1)) AS steps(step) WHERE NOT is_stream
)
SELECT *, at_us // {chunk_us} AS chunk FROM ends
"""
"""Where the number of requests in flight goes up and down: two rows a request."""

CHUNKS: Final = """
SELECT target_group, chunk, coalesce(sum(net) OVER (
    PARTITION BY target_group ORDER BY chunk ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS in_flight_before
FROM (SELECT target_group, chunk, sum(step) AS net FROM marks GROUP BY target_group, chunk) AS chunk_sums
"""
"""In flight when each chunk of time begins, so that the running sum needs no partition longer than a chunk."""

ARRIVALS: Final = """
WITH running AS (
  SELECT target_group, chunk, step, name, time_window, lasted_us,
    sum(step) OVER (PARTITION BY target_group, chunk ORDER BY at_us, step) AS inside
  FROM marks
)
SELECT running.target_group, name, time_window, inside + in_flight_before - 1 AS others,
  count(*) AS requests, sum(lasted_us) AS lasted_us
FROM running JOIN chunks ON running.target_group = chunks.target_group AND running.chunk = chunks.chunk
WHERE step = 1
GROUP BY running.target_group, name, time_window, inside + in_flight_before - 1
"""
"""Requests by how many others were in flight when they began; those that began at once count each other."""

QUIET: Final = """
WITH levels AS (
  SELECT *, sum(requests) OVER (PARTITION BY target_group ORDER BY others)
      - sum(requests) OVER (PARTITION BY target_group, others) AS met_fewer,
    sum(requests) OVER (PARTITION BY target_group) AS total
  FROM arrivals
)
SELECT name, target_group, time_window, sum(requests) AS requests, sum(lasted_us) AS lasted_us
FROM levels WHERE met_fewer < {share} * total GROUP BY name, target_group, time_window
"""
"""Few is what a quarter of the requests met at most when they arrived (docs/candidates.md, quiet-time demand)."""

SESSIONS: Final = """
SELECT name, target_group, count(DISTINCT client) AS sessions FROM named
WHERE client < '{below}' GROUP BY name, target_group
"""

NEIGHBOURS: Final = """
WITH steps AS (
  SELECT name, target_group, started_us,
    lead(name) OVER (PARTITION BY client ORDER BY started_us, name) AS next_name,
    lead(started_us) OVER (PARTITION BY client ORDER BY started_us, name) AS next_us
  FROM named WHERE client < '{below}'
)
SELECT name, target_group, next_name, count(*) AS times FROM steps
WHERE next_name IS NOT NULL AND next_us - started_us <= {pause_us}
GROUP BY name, target_group, next_name
"""
"""What the same client asked for next, unless it paused for longer than a session lasts."""
