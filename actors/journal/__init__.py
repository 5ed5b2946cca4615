"""The journal: the record of everything that happened, written before it has consequences, and the files made from it.

=============  ======================================================================================
`records`      one record as one line of JSON with a checksum
`disk`         the few operating-system calls that all of this stands on
`segments`     the segment files: names, headers, reading, checking, the torn tail
`catalog`      what each key needs for recovery, in memory
`writer`       appends whole batches to the newest segment; undoes what it could not finish
`home`         what outlives an incarnation of the actor: the directory lock, the open file, the catalog
`actor`        the actor in the path of every order
`replay`       reading without writing: fold, verify, repair the tail
`exports`      lines of `logs/`: trades and orders, derived from the journal, each exactly once
`reports`      `snapshots/.../state.json` and `reports/.../pnl.csv`
`files`        the actor that keeps those files up to date
=============  ======================================================================================
"""
