"""The public face for users' own code: what a strategy of yours may import, and nothing else.

Everything else in this repository may move between releases; the names listed in `__all__` here do not.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
