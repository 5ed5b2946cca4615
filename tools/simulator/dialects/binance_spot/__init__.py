"""Binance Spot as a server: REST, market streams and the WebSocket API on one port.

Written from the venue's public documents, independently of the engine's own codec, so that the two check each
other. Section numbers in the modules of this folder are those of the wire-protocol reference for Binance Spot.
"""
