"""Pre-trade risk: limits, exposure and the kill switch, one actor for the firm and one per account."""
