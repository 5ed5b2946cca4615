"""One account's orders, positions and balances: decided purely, recorded first, replayable byte for byte."""
