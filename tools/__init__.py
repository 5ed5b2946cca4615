"""What people run: the `bulkhead` command, the venue simulator, benchmarks, and checks on this repository."""
