"""Positions and profit over all accounts and venues."""
