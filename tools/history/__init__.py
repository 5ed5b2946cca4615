"""Market data on disk: recordings of streams, histories of candles, and checks of both.

| module | does |
| --- | --- |
| `captures` | capture-jsonl v1: writing, rotating and reading recordings |
| `record` | follows the streams of one venue into captures (`bulkhead record`) |
| `books` | what the frames of a capture say about books, by the venue's own rules |
| `candles` | files of candles: CSV, gzipped CSV, Parquet |
| `download` | fetches candles from a venue's history (`bulkhead download`) |
| `check` | finds what is wrong with captures and candle files (`bulkhead data check`) |

The formats are described in `docs/history.md`.
"""
