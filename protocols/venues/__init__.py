"""One folder per venue and product: sans-I/O codecs that carry out `protocols.venue`.

Every folder has the same files: `wire` (the venue's JSON as structs), `public` and `private` (the two codecs),
`signer`, `limits`, `errors`, `book` (sequence rules), `instruments`, and a README that states each rule with the
section of the reference it comes from.

What all of them share: `values` (numbers and times), `words` (what a venue calls a thing), `signers` (secrets), and
`registry`, which lists the venues.
"""
