"""What the parts of the private codec share: whose account it is, and how it is set up.

`commands` writes orders, `answers` reads what the gateway says to them, `channels` what the account's connections say,
`queries` asks by REST; `private` puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocols.errors import ConfigError
from protocols.ids import AccountID, Symbol
from protocols.instruments import Instrument, Product
from protocols.venue import Frame, Lane, SessionRules
from protocols.venues.okx.algos import AlgoReports, AlgoRules, Children, Conditionals
from protocols.venues.okx.answers import AnswerReader
from protocols.venues.okx.channels import ChannelReader
from protocols.venues.okx.encode import TRADE_MODES, InstrumentCodes, OrderRules, PendingAcks
from protocols.venues.okx.endpoints import PRODUCTION, STREAM_RULES, Endpoints
from protocols.venues.okx.public import PING, capabilities_of, venue_of
from protocols.venues.okx.reports import Reports
from protocols.venues.okx.requests import SignedRequests
from protocols.venues.okx.signer import OkxSigner

__all__ = ["REQUEST_WINDOW_MS", "AccountCodec"]

REQUEST_WINDOW_MS = 2000
"""Short on purpose: an order whose reply was lost can still be accepted for this long (section 2.4)."""


class AccountCodec:
    """One account and product.

    `codes`: instIdCode of the symbols, see also `learn`.  `trade_mode` one of `encode.TRADE_MODES`, "" for the first;
    `hedged`: the account is in long_short_mode; `request_window_ms` 1 to 60000; `stp_mode` one of `encode.STP_MODES`;
    `trigger_by`: the price that conditional orders watch, one of `algos.TRIGGER_PRICES`.
    """

    rules: SessionRules = STREAM_RULES

    def __init__(
        self,
        account: AccountID,
        signer: OkxSigner,
        product: Product,
        endpoints: Endpoints = PRODUCTION,
        *,
        codes: Mapping[Symbol, int] | None = None,
        trade_mode: str = "",
        hedged: bool = False,
        request_window_ms: int = REQUEST_WINDOW_MS,
        stp_mode: str = "cancel_maker",
        trigger_by: str = "last",
    ) -> None:
        if not 1 <= request_window_ms <= 60_000:
            raise ConfigError(f"request_window_ms was {request_window_ms}, must be 1 to 60000; 1000 to 3000 is advised")
        self.venue = venue_of(product)
        self.account = account
        self.product = product
        self.capabilities = capabilities_of(product)
        self.endpoints = endpoints
        self.request_window_ms = request_window_ms
        self._paths = endpoints.paths
        self._signer = signer
        self._hedged = hedged
        self._trade_mode = trade_mode or TRADE_MODES[product][0]
        self._codes = InstrumentCodes(codes or {})
        self._orders = OrderRules(product, self._trade_mode, stp_mode, hedged=hedged)
        self._algos = AlgoRules(product, self._orders, trigger_by)
        self._rest = SignedRequests(signer, simulated=endpoints.simulated)
        self._children = Children()
        self._reports = Reports(self.venue, account, self._children)
        self._algo_reports = AlgoReports(self.venue, account, self._children)
        self._acks = PendingAcks()
        self._answers = AnswerReader(product, self._reports)
        self._channels = ChannelReader(
            self.venue, account, product, self._reports, self._algo_reports, self._answers, self._acks
        )
        self._conditionals = Conditionals()

    @property
    def hedge_mode(self) -> bool:
        """What this codec was told about the account (`hedged`)."""
        return self._hedged

    def learn(self, instruments: Sequence[Instrument]) -> None:
        """Take over the instrument numbers (`venue_code`) of a list; they differ between production and demo."""
        self._codes.learn(instruments)

    def keep_alive(self, request_id: str) -> Frame:
        """The bare text `ping`; the answer has no id."""
        return Frame(PING, "", 0, Lane.QUERY)
