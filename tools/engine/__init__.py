"""The engine's process: keys, logs, the simulator as a child, signals, the plain view and the summary.

What trades is built by `supervisors.tree`; this package gives it a process to live in.
"""
