"""Benchmarks, each behind a correctness gate. Installed as `fastgan.bench`."""
