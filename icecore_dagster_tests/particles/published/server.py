"""A web server on this computer that answers as Zenodo does, and breaks off where a test wants it to."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

RECORD = "/api/records/7591282"


@dataclass
class Zenodo:
    """What the server has, how it behaves, and what it was asked."""

    files: dict[str, bytes]
    form: str = "legacy"
    has_ranges: bool = True
    breaks_after: list[int] = field(default_factory=list)
    checksums: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def record(self) -> dict[str, Any]:
        entries = [self._entry(name, content) for name, content in self.files.items()]
        if self.form == "legacy":
            return {"id": 7591282, "files": entries}
        if self.form == "deposit":
            return {
                "files": [{"filename": e["key"], "filesize": e["size"], "checksum": e["checksum"][4:]} for e in entries]
            }
        links = {"self": f"{self.url}{RECORD}/files", "content": ""}
        for entry in entries:
            content = entry["links"]["self"]
            entry["links"] = {**links, "self": content.removesuffix("/content"), "content": content}
        if self.form == "entries":
            return {"files": {"enabled": True, "count": len(entries), "entries": {e.pop("key"): e for e in entries}}}
        return {"files": {"enabled": True, "entries": entries}}

    def _entry(self, name: str, content: bytes) -> dict[str, Any]:
        checksum = self.checksums.get(name, hashlib.md5(content, usedforsecurity=False).hexdigest())
        address = f"{self.url}{RECORD}/files/{name}/content"
        return {"key": name, "size": len(content), "checksum": f"md5:{checksum}", "links": {"self": address}}

    def ranges_asked(self, name: str) -> list[str | None]:
        return [range_ for path, range_ in self.asked if path == f"{RECORD}/files/{name}/content"]


class _Handler(BaseHTTPRequestHandler):
    zenodo: Zenodo

    def do_GET(self) -> None:
        path, wanted = unquote(self.path), self.headers.get("Range")
        self.zenodo.asked.append((path, wanted))
        if path == RECORD:
            self._answer(200, json.dumps(self.zenodo.record()).encode(), {"Content-Type": "application/json"})
            return
        name = path.removeprefix(f"{RECORD}/files/").removesuffix("/content")
        if name not in self.zenodo.files:
            self._answer(404, b"", {})
            return
        content = self.zenodo.files[name]
        if wanted and self.zenodo.has_ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            place = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._answer(206, content[start:], {"Content-Range": place}, may_break=True)
        else:
            self._answer(200, content, {}, may_break=True)

    def _answer(self, status: int, body: bytes, headers: dict[str, str], *, may_break: bool = False) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if may_break and self.zenodo.breaks_after:
            self.wfile.write(body[: self.zenodo.breaks_after.pop(0)])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextmanager
def serving(zenodo: Zenodo) -> Iterator[Zenodo]:
    handler = type("Handler", (_Handler,), {"zenodo": zenodo})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    zenodo.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield zenodo
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
