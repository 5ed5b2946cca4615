"""Bybit v5: spot and linear contracts with one unified wallet, on REST and three kinds of WebSocket.

Sections named in the modules are those of the venue reference `bybit-v5.md`.
"""
