"""Benchmarks: what the engine's parts cost, measured on this machine."""
