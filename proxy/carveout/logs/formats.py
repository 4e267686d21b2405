"""From the lines of a log to `fields`: what each format says about a request, as SQL over the relation `lines`.

`lines` has `file` and `line`. `fields` adds, in seconds and bytes, NULL where a line does not say:

    ended_at        when the response was complete, since the epoch
    started_at      when the request was sent to the target
    seconds         how long the target was busy with it (alb.md 9.1: all but the request processing time)
    first_byte      until the head of its response
    method, url     as the client sent them
    client_ip, user_agent
    status          what the target answered, else what the client got; 0 for neither
    request_bytes, response_bytes
    target_group    name; '' when the line names none
    asked           whether a target was asked at all
    is_stream       a tunnel: its time says nothing about work
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ALB_COLUMNS: Final = r"""
WITH quoted AS (
  SELECT file, line, string_split(replace(line, '\"', '\x22'), '"') AS parts FROM lines
), words AS (
  SELECT file, line, parts[4] AS user_agent,
    string_split(parts[1], ' ') AS head, string_split(parts[2], ' ') AS request,
    string_split(parts[5], ' ') AS tls, string_split(parts[11], ' ') AS tail
  FROM quoted
)
SELECT file, line,
  head[1] AS type, head[2] AS time, regexp_replace(head[4], ':[0-9]+$', '') AS client_ip, head[5] AS target_ip,
  TRY_CAST(head[6] AS DOUBLE) AS request_processing_time, TRY_CAST(head[7] AS DOUBLE) AS target_processing_time,
  TRY_CAST(head[8] AS DOUBLE) AS response_processing_time,
  TRY_CAST(head[9] AS INT) AS elb_status_code, head[10] AS target_status_code,
  TRY_CAST(head[11] AS BIGINT) AS received_bytes, TRY_CAST(head[12] AS BIGINT) AS sent_bytes,
  request[1] AS request_verb, request[2] AS request_url, user_agent,
  tls[4] AS target_group_arn, tail[3] AS request_creation_time
FROM words
"""
"""The columns of AWS's table for Athena that are wanted here (those after the trace id are missing in old lines)."""

ALB_FIELDS: Final = r"""
WITH times AS (
  SELECT *, ISO_SECONDS(time) AS ended,
    coalesce(ISO_SECONDS(request_creation_time), ISO_SECONDS(time) - (
      CASE WHEN request_processing_time > 0 THEN request_processing_time ELSE 0 END
      + CASE WHEN target_processing_time > 0 THEN target_processing_time ELSE 0 END
      + CASE WHEN response_processing_time > 0 THEN response_processing_time ELSE 0 END))
    + CASE WHEN request_processing_time > 0 THEN request_processing_time ELSE 0 END AS started
  FROM alb_columns
)
SELECT file, line, ended AS ended_at, started AS started_at,
  CASE WHEN ended > started THEN ended - started ELSE 0.0 END AS seconds,
  CASE WHEN target_processing_time >= 0 THEN target_processing_time END AS first_byte,
  request_verb AS method, request_url AS url, replace(replace(client_ip, '[', ''), ']', '') AS client_ip, user_agent,
  coalesce(TRY_CAST(target_status_code AS INT), elb_status_code, 0) AS status,
  received_bytes AS request_bytes, sent_bytes AS response_bytes,
  CASE WHEN target_group_arn IS NULL THEN NULL
    WHEN target_group_arn LIKE '%/%' THEN split_part(target_group_arn, '/', 2) ELSE '' END AS target_group,
  coalesce(target_ip, '-') NOT IN ('-', '') OR coalesce(target_processing_time, -1) >= 0 AS asked,
  type IN ('ws', 'wss') AS is_stream
FROM times
"""
"""A time of -1 is one that never happened (alb.md 9.1); a lambda is asked although it has no address, which AWS's own
regular expression reads as an empty one."""

JSON_FIELDS: Final = r"""
WITH documents AS (SELECT file, line, JSON_DOCUMENT(line) AS d FROM lines),
fields_of AS (
  SELECT file, line, ISO_SECONDS(d ->> '$.time') AS received, TRY_CAST(d ->> '$.total' AS DOUBLE) AS total,
    coalesce(TRY_CAST(d ->> '$.request_processing' AS DOUBLE), 0) AS sending,
    TRY_CAST(d ->> '$.target_processing' AS DOUBLE) AS first_byte,
    d ->> '$.method' AS method, d ->> '$.target' AS url, d ->> '$.client' AS client_ip,
    d ->> '$.user_agent' AS user_agent,
    coalesce(TRY_CAST(d ->> '$.target_status' AS INT), TRY_CAST(d ->> '$.status' AS INT), 0) AS status,
    TRY_CAST(d ->> '$.request_bytes' AS BIGINT) AS request_bytes,
    TRY_CAST(d ->> '$.response_bytes' AS BIGINT) AS response_bytes,
    coalesce(d ->> '$.target_group', '') AS target_group, d ->> '$.target_id' AS target_id,
    coalesce(d ->> '$.tunnel', 'false') = 'true' AS is_stream
  FROM documents
)
SELECT file, line, received + total AS ended_at, received + sending AS started_at,
  CASE WHEN total > sending THEN total - sending ELSE 0.0 END AS seconds, first_byte, coalesce(method, '-') AS method,
  coalesce(url, '') AS url, client_ip, user_agent, status, request_bytes, response_bytes, target_group,
  target_id IS NOT NULL OR first_byte IS NOT NULL AS asked, is_stream
FROM fields_of
"""
"""The gateway's own JSON lines (docs/access-log.md)."""


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a log.

    Attributes:
        name: What `--format` and messages call it.
        steps: Relations to define in turn, the last one being `fields`; each reads those before it, or `lines`.
        has_times: Whether its lines say how long a request took, without which there is nothing to rank by.
    """

    name: str
    steps: tuple[tuple[str, str], ...]
    has_times: bool = True


ALB: Final = Format("alb", (("alb_columns", ALB_COLUMNS), ("fields", ALB_FIELDS)))
ALB_TABLE: Final = Format("alb", (("fields", ALB_FIELDS),))
"""For an engine that has the columns already."""
JSON: Final = Format("json", (("fields", JSON_FIELDS),))
