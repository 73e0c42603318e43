"""Checksums of raw segments: whether each is, byte for byte, what was received or fetched, by the SHA-256 noted.

The collector notes it in the `sealed` record of the journal, healing in a file beside what it lands, and so does who
takes out of a segment what is no line; what stands beside counts. Files that were landed by hand, and lakes written
before it was noted, have none: of these nothing can be said.
"""

from datetime import date
from pathlib import Path

import pyarrow as pa

from crypto_lake.disk import checksums
from crypto_lake.layout import COMPRESSED_SUFFIX, Layout
from crypto_lake.raw import journal, journals, segments

# Of segments, by name.
Noted = dict[str, str]


def noted(layout: Layout, exchange: str, symbol: str, day: date) -> Noted:
    """Return what the journals say of the segments in a symbol's folder of a day."""
    records = journals.of_symbol(layout, exchange, symbol, day)
    sealed = [one for one in records if isinstance(one, journal.Sealed | journal.DepthSealed)]
    return {one.segment: one.sha256 for one in sealed if one.segment and one.sha256}


def expected(layout: Layout, path: Path, known: Noted) -> str | None:
    """Return what a sealed segment's lines should have, compressed or not; None where nothing was noted."""
    name = segments.name_of(path)
    return checksums.noted(layout.checksum(path.with_name(name))) or known.get(name)


def difference(path: Path, wanted: str) -> str | None:
    """Return what is wrong with a sealed segment of which a checksum was noted; None: nothing."""
    try:
        found = _of_lines(path)
    except OSError as error:
        return f"cannot be read: {' '.join(str(error).split())}"
    return None if found == wanted else f"has lines with the checksum {found}; expected {wanted}"


def _of_lines(path: Path) -> str:
    if path.suffix != COMPRESSED_SUFFIX:
        return checksums.of(path)
    with pa.input_stream(path, compression="zstd") as lines:
        return checksums.of_stream(lines)
