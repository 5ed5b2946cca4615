"""The `bulkhead` command: one entry point for everything that people run.

Exit codes: 0 done, 1 refused or failed (the reason is on stderr), 2 wrong usage, 3 no engine is running at the control
socket, 4 the configuration is unusable.  `--json` gives the same facts to scripts, one document on stdout.
"""

from tools.cli.app import main

__all__ = ["main"]
