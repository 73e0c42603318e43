"""Text from outside, made fit to be shown: on a terminal, in a log, a journal, a page, an error.

An exchange, a proxy, a file's name or a library may put anything into a text. Here control characters become visible,
addresses lose what is secret in them, and lengths are bounded. No I/O, nothing of the lake's own.
"""

import base64
import functools
import html
import json
import re
from collections.abc import Sequence
from urllib.parse import quote, unquote, unquote_plus, urlsplit

LONGEST = 500
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://\S+")
_PARTS = re.compile(r"(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL)
_HOST = re.compile(r"\[[^\]]*\]|[^:]*")
_PORT = re.compile(r":[0-9…]*|")
# A password with a slash before it is a path to a parser; a stream's name (`btcusdt@trade`) has no colon.
_PASSWORD = re.compile(r":.*@", re.DOTALL)
# A proxy's page quotes what was asked for without the host.
_QUERY = re.compile(r"(?P<mark>[?&])[\w.%\-]+=[^\s&'\"<>]*")
# A shorter secret is blanked only as a word of its own, or hardly a word would be left.
_SHORT = 4
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
    # A question mark in a password ends the path for a parser.
    doubtful = _PASSWORD.search(parts["path"]) or (":" in parts["path"] and "@" in parts["rest"])
    return visible(f"{scheme}://{place}" + ("/…" if doubtful else parts["path"]))


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


def without_secrets(text: str, *urls: str) -> str:
    """Return a text without the users, the passwords and the values of the queries of addresses, however spelled.

    Who is asked with them may repeat them in its answer. Blank a text before it is cut: half a key tells as well.
    """
    for secrets in filter(None, map(_secrets, urls)):
        text = secrets.sub("…", text)
    return text


@functools.lru_cache(maxsize=32)
def _secrets(url: str) -> "re.Pattern[str] | None":
    try:
        parts = urlsplit(url)
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return None
    pairs = (pair.partition("=") for pair in re.split("[&;]", parts.query))
    bare = {user, password, parts.fragment, *(value if mark else key for key, mark, value in pairs)}
    plain = {*bare, *map(unquote, bare), *map(unquote_plus, bare)}
    basic = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode(errors="replace")).decode()
    spelled = {
        *plain,
        *(quote(one, safe="", errors="replace") for one in plain),
        *map(html.escape, plain),
        *(json.dumps(one)[1:-1] for one in plain),
        *({basic, basic.rstrip("=")} if user or password else ()),
    }
    # The longest first, so that of a word with another one in it nothing is left.
    patterns = [_pattern(one) for one in sorted(spelled, key=len, reverse=True) if one]
    return re.compile("|".join(patterns), re.IGNORECASE) if patterns else None


def _pattern(secret: str) -> str:
    return re.escape(secret) if len(secret) >= _SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"


def _masked(found: "re.Match[str]") -> str:
    bare = found[0].rstrip(_ENDINGS)
    return address(bare) + found[0][len(bare) :]


def some(names: Sequence[str], most: int = 10) -> str:
    """Return names with commas between them, the first `most` of them, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def visible(line: str) -> str:
    """Escape what is no visible character: controls, and those that turn the direction of writing."""
    return line if line.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in line)


def is_unicode(text: str) -> bool:
    """Return whether a text can be written as UTF-8: bytes of a pipe, an argument or a file name may be none."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
