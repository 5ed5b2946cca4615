"""Tests of the simulator's OKX family."""
