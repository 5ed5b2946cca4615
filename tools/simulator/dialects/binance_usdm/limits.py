"""What the venue allows (section 5)."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class UsdmLimits:
    """Per address, but orders per account; 0 switches a limit off."""

    weight_per_minute: int = 2_400
    raw_per_5_minutes: int = 0
    connections_per_5_minutes: int = 300
    orders_per_10_seconds: int = 300
    orders_per_minute: int = 1_200
    stream_messages_per_second: int = 10
    streams_per_connection: int = 1024
