"""Market data for readers: candles built from trades."""
