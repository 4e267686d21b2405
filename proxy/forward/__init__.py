"""The target's side: connections, one pool a target, and the headers that go each way."""
