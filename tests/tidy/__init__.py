"""Checks on the code itself: the house rules that a machine can see."""
