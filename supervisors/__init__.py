"""How actors run: mailbox, reference, supervisor, restart policy, registry, inspection, clock and the tree."""
