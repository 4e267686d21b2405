"""A workload from access logs: one SQL text, run by DuckDB here, or by Spark or Athena where the logs are."""
