"""HTTP/2 on the wire, for both sides: header fields, one connection, its streams."""
