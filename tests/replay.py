"""Import a file as a user would who sets bad rows aside, and look at the book that its rows give."""

from pathlib import Path

import numpy as np

from features.book import BookBuilder
from features.importing import Request, import_file
from features.intake.batch import Options
from features.tape import Tape


def best_bids(source: str, path: Path, store: Path, symbol: str | None = None) -> list[float | None]:
    """The best bid after each message of the file's only book; ``None`` where the book is void."""
    request = Request(source, options=Options(symbol=symbol), on_error="quarantine")
    import_file(path, store, request, lambda _: None)
    tape, builder = Tape(store), BookBuilder(depth=1, every=1)
    (stream,) = (stream for stream in tape.streams() if stream.kind == "book_deltas")
    books = [builder.deltas(frame)[1] for frame in tape.scan(stream)]
    _, last = builder.finish(np.array([builder.clock_ns]))
    bids = np.concatenate([*books, last])[:, 0]
    return [None if np.isnan(bid) else float(bid) for bid in bids]
