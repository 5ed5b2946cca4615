"""The venue-neutral half of the simulator: money, books, matching, accounts, faults, sockets, market sources.

Nothing here knows any venue's wire format. A dialect (`tools.simulator.dialects.*`) turns requests into calls
of `core.exchange.Exchange` and what the exchange reports into that venue's messages.
"""
