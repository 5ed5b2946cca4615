"""How actors run: mailbox, cell, pump, supervisor, timers, watchdog, inspection, clock; and the tree itself."""
