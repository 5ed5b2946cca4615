"""Venue sessions: what holds the sockets, counts the limits and measures the clock, and knows no venue by name."""
