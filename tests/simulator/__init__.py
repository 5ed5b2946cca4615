"""Tests of the venue simulator: first that it is right, then that it fails on demand."""
