"""One folder per venue: how that venue speaks. Each turns its wire format into calls of `core.exchange`."""
