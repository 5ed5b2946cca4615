"""What Binance's products have in common: signatures, request envelopes, limit counters, control frames.

Only what is the same by the venue's own documents is here.  Order types, error codes, book rules and user data are not:
the same number or letter means different things on Spot and on USDT-M Futures.
"""
