"""Strategies: the actor that runs them, the indicators, and those that are shipped."""
