"""HTTP/1.1 on the wire, without I/O: heads, body framing, status pages (RFC 9112)."""
