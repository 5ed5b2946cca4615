"""One cap on the loggers of the libraries that carry our requests.

httpx logs every URL at INFO, with the query and therefore the signature; the WebSocket core logs whole frames at
DEBUG, with the API key.  Both are silenced below WARNING here, once, by everything that opens a connection, whatever
level the root logger has.  `tests/actors/venue/test_http.py` looks for a planted secret in the log.
"""

from __future__ import annotations

import logging

LIBRARIES = ("httpx", "httpcore", "h11", "websockets", "hpack")


def cap_library_loggers() -> None:
    """Let these libraries say warnings and errors only; children of these loggers inherit it."""
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.WARNING or logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
