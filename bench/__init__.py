"""Benchmarks: the gateway beside other proxies, and proofs of what it promises under load. See README.md."""
