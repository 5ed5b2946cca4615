"""What runs: one folder per kind of actor, its pure decision core beside its thin shell."""
