"""A small S3 on loopback that misbehaves as it is told: lists, gets, puts (if absent too), deletes, no signatures."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_ASKED = {"prefix", "delimiter"}
_LIST = '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>'
_OBJECT = (
    "<Contents><Key>{}</Key><LastModified>2025-10-20T00:00:00.000Z</LastModified>"
    '<ETag>"{}"</ETag><Size>{}</Size></Contents>'
)


class Fault(NamedTuple):
    """What comes of a request in place of its answer: a status and a code, or a part of the body."""

    status: int = 200
    code: str = ""
    cut: bool = False
    wait_sec: float = 0


class S3:
    """The objects of one bucket, by key, and what goes wrong: `fault` is asked of each request (method, key)."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.fault: Callable[[str, str], Fault | None] = lambda _method, _key: None
        self.stop = threading.Event()

    def tag(self, key: str) -> str:
        return f"{hash(self.objects[key]) & (1 << 60) - 1:x}"


@contextmanager
def running(bucket: str = "lake") -> Iterator[tuple[S3, str]]:
    """Serve a bucket; it and the address are given."""
    s3 = S3()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"s3": s3, "bucket": bucket}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield s3, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        s3.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    s3: S3
    bucket: str
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        url = urlsplit(self.path)
        name, _, key = unquote(url.path).lstrip("/").partition("/")
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.s3.asked.append((self.command, key))
        fault = self.s3.fault(self.command, key) or Fault()
        if fault.wait_sec:
            self.s3.stop.wait(fault.wait_sec)
        if name != self.bucket:
            fault = Fault(404, "NoSuchBucket")
        if fault.status != 200:
            self._send(fault.status, f"<Error><Code>{fault.code}</Code></Error>".encode())
        elif self.command == "PUT":
            self._put(key, content[: len(content) // 2] if fault.cut else content)
        elif self.command == "DELETE":
            self.s3.objects.pop(key, None)
            self._send(204)
        elif "list-type" in parse_qs(url.query):
            self._list(**{name: value[0] for name, value in parse_qs(url.query).items() if name in _ASKED})
        else:
            self._get(key, fault)

    def _put(self, key: str, content: bytes) -> None:
        if self.headers.get("If-None-Match") == "*" and key in self.s3.objects:
            self._send(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        self.s3.objects[key] = content
        self._send(200, tag=self.s3.tag(key))

    def _list(self, prefix: str = "", delimiter: str = "") -> None:
        found = sorted(key for key in self.s3.objects if key.startswith(prefix))
        folders = {key[: key.index("/", len(prefix)) + 1] for key in found if "/" in key[len(prefix) :]}
        files = [key for key in found if not delimiter or "/" not in key[len(prefix) :]]
        rows = [_OBJECT.format(escape(key), self.s3.tag(key), len(self.s3.objects[key])) for key in files]
        rows += [
            f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in folders if delimiter
        ]
        self._send(200, _LIST.format("".join(rows)).encode())

    def _get(self, key: str, fault: Fault) -> None:
        if key not in self.s3.objects:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        self._send(200, self.s3.objects[key], tag=self.s3.tag(key), cut=fault.cut)

    def _send(self, status: int, body: bytes = b"", tag: str = "", *, cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Mon, 20 Oct 2025 00:00:00 GMT")
        if tag:
            self.send_header("ETag", f'"{tag}"')
        self.end_headers()
        if self.command != "HEAD":
            # Who asked may have given up.
            with suppress(OSError):
                self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_DELETE = _answer  # noqa: N815 - as the library calls them
