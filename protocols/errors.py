"""House exceptions: each leaf says whose fault it is, and its class is what a supervisor acts upon.

Expected outcomes (a refusal, a venue's reject) are message values, not exceptions.
"""

from __future__ import annotations

import attrs


class BulkheadError(Exception):
    """Base of all errors of ours."""


class LocalProtocolError(BulkheadError):
    """We built something that the venue's rules forbid.  A bug of ours; never retried."""


class RemoteProtocolError(BulkheadError):
    """The peer sent what cannot be accepted.  The session is dropped and resynced."""


class OutcomeUnknown(BulkheadError):
    """A request may have taken effect.  Reconcile; never resend blindly."""


class VenueUnavailable(BulkheadError):
    """The venue cannot be reached or is under maintenance; try later."""


class CircuitOpen(VenueUnavailable):
    """The venue was not even asked: it has failed too often of late, and is given a rest."""


class TooLate(VenueUnavailable):
    """No answer came before the caller's deadline."""


class UnknownSymbol(BulkheadError):
    """The venue has no such symbol; the text says which, and how symbols are written.  The caller's mistake."""


class NoSuchChannel(BulkheadError):
    """The venue, or this engine as it is configured, has no such stream or history.  The caller's mistake."""


class RateLimited(BulkheadError):
    """A venue limit was hit; nothing may be sent before `until_ns` (wall clock, ns)."""

    def __init__(self, text: str, until_ns: int) -> None:
        super().__init__(text)
        self.until_ns = until_ns


class AuthError(BulkheadError):
    """The key was refused or expired.  The account stops until a person has acted; no retry loop."""


class SequenceGap(BulkheadError):
    """Our picture of a stream is not current."""


class ClockSkew(BulkheadError):
    """Signed requests would be refused: our clock is too far from the venue's."""


class JournalError(BulkheadError):
    """A record may not be durable, or the journal on disk is damaged."""


class InvariantViolation(BulkheadError):
    """Our own state is wrong.  Halt, dump, stop."""


class ConfigError(BulkheadError):
    """The configuration is unusable; the text names file, key, reason and fix."""


@attrs.frozen
class Unrecognized:
    """A venue's word that our vocabulary lacks, kept as it came."""

    field: str
    raw: str
