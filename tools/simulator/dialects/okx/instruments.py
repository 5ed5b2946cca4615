"""Instruments (section 4): a small built-in list, or the venue's own answers from files.

Quantities of spot are coins, those of swaps contracts of `ctVal x ctMult` coins. Only spot and linear swaps trade
here; futures, options and inverse swaps of a file can be listed for a recording that has them, and are closed.
"""

from __future__ import annotations

import gzip
import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import attrs

from tools.simulator.core.decimals import ZERO
from tools.simulator.core.families import select
from tools.simulator.core.model import MarketKind, SymbolSpec

SPOT, SWAP = "SPOT", "SWAP"
INST_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION")
OPEN_STATES = ("live", "post_only")
FIRST_CODE = 10_400
FIRST_UNLISTED_CODE = 900_000
LISTED_MS = "1573557408000"

# instId, tickSz, lotSz, minSz, price to start a generated market with
_SPOT = [
    ("BTC-USDT", "0.1", "0.00000001", "0.00001", "60000"),
    ("ETH-USDT", "0.01", "0.000001", "0.0001", "2500"),
    ("SOL-USDT", "0.01", "0.0001", "0.001", "140"),
    ("XRP-USDT", "0.0001", "0.0001", "1", "2.2"),
    ("DOGE-USDT", "0.00001", "0.01", "10", "0.15"),
    ("ETH-BTC", "0.00001", "0.000001", "0.0001", "0.04166"),
    ("BTC-USDC", "0.1", "0.00000001", "0.00001", "60000"),
]
# instId, tickSz, lotSz, ctVal, lever, price
_SWAP = [
    ("BTC-USDT-SWAP", "0.1", "0.01", "0.01", "100", "60000"),
    ("ETH-USDT-SWAP", "0.01", "0.01", "0.1", "100", "2500"),
    ("SOL-USDT-SWAP", "0.01", "0.01", "1", "50", "140"),
    ("XRP-USDT-SWAP", "0.0001", "0.01", "100", "50", "2.2"),
    ("DOGE-USDT-SWAP", "0.00001", "0.01", "1000", "50", "0.15"),
]
DEFAULT_PRICES = {row[0]: Decimal(row[-1]) for row in (*_SPOT, *_SWAP)}
DEFAULT_SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "ETH-BTC", "BTC-USDT-SWAP", "ETH-USDT-SWAP")


@attrs.frozen
class OkxInstrument:
    """One instrument: the venue's own object, and what the simulator needs of it in exact numbers."""

    raw: dict[str, Any]
    inst_id: str
    inst_type: str
    code: int
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_size: Decimal
    max_limit: Decimal
    max_market: Decimal
    contract_size: Decimal
    """Coins in one contract; 1 on spot."""
    max_lever: int
    state: str

    @property
    def spec(self) -> SymbolSpec:
        """For the matching engine. `instId` is unique, so it is the market key as well."""
        return SymbolSpec(
            symbol=self.inst_id,
            base=self.base,
            quote=self.quote,
            tick_size=self.tick,
            step_size=self.lot,
            trading=self.carried_out and self.state in OPEN_STATES,
            category=self.inst_type,
            kind=MarketKind.SPOT if self.inst_type == SPOT else MarketKind.LINEAR,
            contract_size=self.contract_size,
            max_leverage=Decimal(self.max_lever),
        )

    @property
    def start_px(self) -> Decimal:
        """Where a generated market starts."""
        return DEFAULT_PRICES.get(self.inst_id) or self.tick * 100_000

    @property
    def is_swap(self) -> bool:
        return self.inst_type == SWAP

    @property
    def family(self) -> str:
        """Never cut from the name."""
        return str(self.raw.get("instFamily") or self.raw.get("uly") or "")

    @property
    def underlying(self) -> str:
        return str(self.raw.get("uly") or "")

    @property
    def band(self) -> Decimal:
        """How far from the market a price may lie."""
        return _number(self.raw.get("initPxLmtPct")) or Decimal("0.05")

    @property
    def carried_out(self) -> bool:
        """Can it be traded here at all: spot, or a linear swap."""
        return self.inst_type == SPOT or (self.is_swap and self.raw.get("ctType") == "linear")

    @classmethod
    def from_raw(cls, raw: dict[str, Any], code: int) -> OkxInstrument:
        """From a row of the list; `code` is used where the row is too old to have one.

        Raises ValueError naming the instrument and what is wrong with it.
        """
        name = raw.get("instId", "?")
        try:
            inst_type = str(raw["instType"])
            spot = inst_type == SPOT
            size = Decimal(1) if spot else Decimal(raw["ctVal"]) * Decimal(raw.get("ctMult") or 1)
            given = raw.get("instIdCode")
            return cls(
                raw={**raw, "instIdCode": code if given is None else given},
                inst_id=str(raw["instId"]),
                inst_type=inst_type,
                code=int(code if given is None else given),
                base=str(raw["baseCcy"] if spot else raw["ctValCcy"]),
                quote=str(raw["quoteCcy"] if spot else raw["settleCcy"]),
                tick=Decimal(raw["tickSz"]),
                lot=Decimal(raw["lotSz"]),
                min_size=Decimal(raw["minSz"]),
                max_limit=_number(raw.get("maxLmtSz")),
                max_market=_number(raw.get("maxMktSz")),
                contract_size=size,
                max_lever=int(_number(raw.get("lever")) or 1),
                state=str(raw.get("state", "live")),
            )
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise ValueError(f"instruments: {name}: missing or malformed {error!r}") from None


def _number(text: Any) -> Decimal:
    return Decimal(text) if text else ZERO


def default_instruments() -> list[OkxInstrument]:
    """The built-in list."""
    rows = [_spot_row(*row[:4]) for row in _SPOT] + [_swap_row(*row[:5]) for row in _SWAP]
    return [OkxInstrument.from_raw(row, FIRST_CODE + number) for number, row in enumerate(rows, 1)]


_EVERY = {
    "alias": "", "auctionEndTime": "", "category": "1", "contTdSwTime": "", "expTime": "", "futureSettlement": False,
    "listTime": LISTED_MS, "maxIcebergSz": "100000000", "maxLmtAmt": "20000000", "maxMktAmt": "1000000",
    "maxStopSz": "1000000", "maxTriggerSz": "100000000", "maxTwapSz": "100000000", "openType": "", "optType": "",
    "ruleType": "normal", "state": "live", "stk": "", "upcChg": [], "initPxLmtPct": "0.05", "floatPxLmtPct": "0.03",
    "maxPxLmtPct": "0.15",
}  # fmt: skip


def _spot_row(inst_id: str, tick: str, lot: str, smallest: str) -> dict[str, Any]:
    base, quote = inst_id.split("-")
    return {
        **_EVERY, "instType": SPOT, "instId": inst_id, "instFamily": "", "uly": "", "baseCcy": base, "quoteCcy": quote,
        "settleCcy": "", "ctVal": "", "ctMult": "", "ctValCcy": "", "ctType": "", "tickSz": tick, "lotSz": lot,
        "minSz": smallest, "lever": "10", "maxLmtSz": "9999999999", "maxMktSz": "1000000", "groupId": "1",
        "tradeQuoteCcyList": [quote],
    }  # fmt: skip


def _swap_row(inst_id: str, tick: str, lot: str, value: str, lever: str) -> dict[str, Any]:
    base, quote, _ = inst_id.split("-")
    family = f"{base}-{quote}"
    return {
        **_EVERY, "instType": SWAP, "instId": inst_id, "instFamily": family, "uly": family, "baseCcy": "",
        "quoteCcy": "", "settleCcy": quote, "ctVal": value, "ctMult": "1", "ctValCcy": base, "ctType": "linear",
        "tickSz": tick, "lotSz": lot, "minSz": lot, "lever": lever, "maxLmtSz": "100000000", "maxMktSz": "35000",
        "groupId": "4", "tradeQuoteCcyList": [],
    }  # fmt: skip


def load_instruments(path: Path) -> list[OkxInstrument]:
    """Read answers of `GET /api/v5/public/instruments`, gzipped or not: one file, or all `instruments_*` of a folder.

    Rows from before 2026 have no `instIdCode`; they get one by their place. Raises ValueError naming file and trouble.
    """
    rows: list[dict[str, Any]] = []
    files = sorted(path.glob("instruments_*")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path}: holds no files instruments_*; put answers of GET /api/v5/public/instruments there")
    for path in files:
        try:
            data = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: cannot be read as JSON: {error}") from None
        found = data.get("data") if isinstance(data, dict) else None
        if not isinstance(found, list) or not found:
            raise ValueError(f"{path}: holds no list 'data'; give the answer of GET /api/v5/public/instruments")
        rows += found
    return [OkxInstrument.from_raw(row, FIRST_CODE + number) for number, row in enumerate(rows, 1)]


def listed(wanted: tuple[str, ...], path: Path | None) -> list[OkxInstrument]:
    """The wanted instruments of a file or folder, or of the built-in list; all of it where none are named.

    Raises ValueError naming what is not there.
    """
    if path is None:
        return select(default_instruments(), wanted)
    return select(load_instruments(path), wanted, source=str(path))


def unlisted(inst_id: str, number: int) -> OkxInstrument:
    """An instrument of a recording that no list has: it can be watched, and is closed for trading."""
    parts = inst_id.split("-")
    kind = {2: SPOT, 3: SWAP if parts[-1] == SWAP else "FUTURES"}.get(len(parts), "OPTION")
    if kind == SPOT:
        row = _spot_row(inst_id, "0.0000000001", "0.00000001", "0.00000001")
    else:
        inverse = parts[1] == "USD"
        row = _swap_row("-".join((*parts[:2], SWAP)), "0.0000000001", "0.00000001", "1", "1")
        row |= {"instId": inst_id, "instType": kind, "ctType": "inverse" if inverse else "linear"}
    return OkxInstrument.from_raw({**row, "state": "suspend"}, FIRST_UNLISTED_CODE + number)
