"""What Binance's products have in common: signatures, parameters, requests, control frames, sessions, address limits.

Each product's own package holds its methods, its rendering and its streams. Section numbers are those of the
wire-protocol reference for Binance Spot, where the shared rules are written down.
"""
