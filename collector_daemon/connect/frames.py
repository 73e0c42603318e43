"""Cut a WebSocket's frames (RFC 6455, 5.2), as far as an exchange's look as they always do. No I/O.

An unmasked text or binary frame that is a message by itself and shorter than 64 KB is cut here, at a tenth of what the
library's parser costs. Whole control frames are found, so that the library may be given them; all else is left to it.
"""

_TEXT, _BINARY = 0x81, 0x82
_CONTROL = range(0x88, 0x8B)  # close, ping, pong
_HEADER = 2
_LONG_HEADER, _LONG = 4, 126

LARGEST = _LONG_HEADER + 0xFFFF


def cut(data: memoryview, at: int, end: int, messages: list[bytes]) -> int:
    """Append the whole messages that begin at `at` to `messages`; return where something else begins, or `end`."""
    while end - at >= _HEADER and data[at] in (_TEXT, _BINARY):
        size, first = data[at + 1], at + _HEADER
        if size >= _LONG:
            if size > _LONG or end - at < _LONG_HEADER:
                break
            size, first = data[at + 2] << 8 | data[at + 3], at + _LONG_HEADER
        if first + size > end:
            break
        messages.append(bytes(data[first : first + size]))
        at = first + size
    return at


def control_size(data: memoryview, at: int, end: int) -> int | None:
    """Return how many bytes the whole control frame at `at` has, where `cut` stopped.

    0: a message, or a control frame, that is not whole yet. None: something else.
    """
    kind = data[at]
    if kind not in _CONTROL and kind not in (_TEXT, _BINARY):
        return None
    if end - at < _HEADER:
        return 0
    size = data[at + 1]
    if kind not in _CONTROL:
        return 0 if size <= _LONG else None
    if size >= _LONG:
        return None
    return _HEADER + size if at + _HEADER + size <= end else 0
