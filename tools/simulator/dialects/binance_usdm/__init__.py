"""Binance USDT-M Futures as a server: REST, routed streams, user data by listen key, WebSocket API on one port.

Written from the venue's public documents, independently of the engine's own codec, so that the two check each other.
Section numbers in the modules of this folder are those of the wire-protocol reference for Binance USD-M Futures.
"""
