"""What people run: the `bulkhead` command, the venue simulator, benchmarks, and the checks on this repository."""
