"""A new venue from the template: a codec, its dialect of the simulator, its tests, and its rows in the tables.

    python -m tools.new_venue acme --title "Acme Exchange"
    pytest tests/protocols/acme tests/conformance -k acme

What it writes works at once: the venue of the template is small, made up, and passes its conformance cases.  From
there each file is brought to what the real venue's documents say, with the cases green all the way
(docs/adding-a-venue.md).
"""
