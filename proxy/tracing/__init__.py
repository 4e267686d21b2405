"""Which trace a request belongs to, and spans for a collector.

context.py    traceparent and X-Amzn-Trace-Id, read and written        pure
span.py       a span that is over
export.py     a bounded queue and a thread, so that no request waits for a collector
otlp.py       the OpenTelemetry SDK: sampler, encoding, OTLP over HTTP; imported only when it is wanted
"""
