"""The public face for users' own code: what a strategy of yours may import, and nothing else.

    from decimal import Decimal
    from bulkhead import Candle, Strategy

    class Dip(Strategy):
        ...

Everything else in this repository may move between releases; the names listed in `__all__` here do not.
`docs/adding-a-strategy.md` shows how to write, configure and test one.
"""

from __future__ import annotations

from actors.strategy.base import Holding, OwnOrder, Strategy
from protocols.enums import OrdStatus, OrdType, Side, TimeInForce, TradingState
from protocols.ids import ClOrdID, Symbol
from protocols.instruments import Instrument
from protocols.market import Candle, Quote, Trade
from protocols.orders import CancelRejected, ExecutionReport, OrderRefused

__all__ = [
    "CancelRejected",
    "Candle",
    "ClOrdID",
    "ExecutionReport",
    "Holding",
    "Instrument",
    "OrdStatus",
    "OrdType",
    "OrderRefused",
    "OwnOrder",
    "Quote",
    "Side",
    "Strategy",
    "Symbol",
    "TimeInForce",
    "Trade",
    "TradingState",
    "__version__",
]

__version__ = "0.1.0"
