"""How actors run: mailbox, ref, supervisor, restart policy, registry, inspection, clock and the tree."""
