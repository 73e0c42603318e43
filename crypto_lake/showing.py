"""Text from outside, made fit to be shown: on a terminal, in a log, a journal, a page, an error.

An exchange, a proxy, a file's name or a library may put anything into a text. Here control characters become visible,
addresses lose what is secret in them, and lengths are bounded. No I/O, nothing of the lake's own.
"""

import re

LONGEST = 500
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://\S+")
_PARTS = re.compile(r"(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL)
_HOST = re.compile(r"\[[^\]]*\]|[^:]*")
_PORT = re.compile(r":[0-9…]*|")
# A password with a slash before it is a path to a parser; a stream's name (`btcusdt@trade`) has no colon.
_PASSWORD = re.compile(r":.*@", re.DOTALL)
# A proxy's page quotes what was asked for without the host.
_QUERY = re.compile(r"(?P<mark>[?&])[\w.%\-]+=[^\s&'\"<>]*")
# What ends a sentence or a quotation, and so follows an address in a text, is none of its own.
_ENDINGS = "'\"`)]}>,.;:"


def address(url: str) -> str:
    """Return an address without user, password and query, in which keys travel.

    It need not be a valid one, since a password with a slash in it ends the host for a parser: what stands where a port
    belongs is shown only if it is a number.
    """
    scheme, mark, rest = url.partition("://")
    parts = _PARTS.fullmatch(rest)
    if not mark or not parts:
        return visible(url)
    place = parts["authority"].rpartition("@")[2]
    host = _HOST.match(place)
    name = host[0] if host else ""
    if not place or not _PORT.fullmatch(place[len(name) :]):
        return visible(f"{scheme}://{name}:…" if name else f"{scheme}://…")
    if not parts["path"] and len(place) > len(name) and "@" in parts["rest"]:
        # A password that begins with digits and a question mark looks like a port.
        return f"{scheme}://…"
    return visible(f"{scheme}://{place}" + ("/…" if _PASSWORD.search(parts["path"]) else parts["path"]))


def printable(text: str, longest: int = LONGEST, *, lines: bool = False) -> str:
    """Return a text that can neither steer a terminal nor forge a line, with its addresses masked.

    White space becomes single blanks, but where `lines` keeps the lines as they are. What is longer than `longest`
    characters is cut.
    """
    # What is far too long is not looked at as a whole; a character becomes ten at most.
    told = _ADDRESS.sub(_masked, text[: longest + 1] if len(text) > longest else text)
    told = _QUERY.sub(r"\g<mark>…", told)
    if lines:
        told = "\n".join(visible(line) for line in told.replace("\t", "    ").splitlines())
    else:
        told = visible(" ".join(told.split()))
    return told if len(told) <= longest else told[: longest - 1] + "…"


def _masked(found: "re.Match[str]") -> str:
    bare = found[0].rstrip(_ENDINGS)
    return address(bare) + found[0][len(bare) :]


def visible(line: str) -> str:
    """Escape what is no visible character: controls, and those that turn the direction of writing."""
    return line if line.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in line)


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: bytes of a pipe, an argument or a file's name that are none cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
