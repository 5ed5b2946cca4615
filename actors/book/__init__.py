"""One symbol's order book: levels, proof of continuity, top of book."""
