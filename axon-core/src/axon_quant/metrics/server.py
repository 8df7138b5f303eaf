"""The HTTP endpoint: /metrics, /livez and /readyz, on loopback unless told otherwise, from daemon threads."""

from __future__ import annotations

import errno
import io
import logging
import socket
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from socketserver import TCPServer, ThreadingMixIn
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from axon_quant.errors import MetricsError
from axon_quant.metrics.exposition import CONTENT_TYPE

if TYPE_CHECKING:
    from axon_quant.metrics.exposition import Exposition

Readiness: TypeAlias = Callable[[], Mapping[str, str | None]]
"""Answers /readyz: the name of each check to None when it passes, else to why it does not. Called on server threads."""

REQUEST_BYTES: Final = 8192
REQUEST_SECONDS: Final = 5.0
CONNECTIONS: Final = 16
_logger = logging.getLogger(__name__)


class MetricsServer:
    """Serves one exposition from construction until `close()`. `port` is the one that was really bound.

    Raises MetricsError when the address cannot be bound. A host other than loopback is allowed and logged.
    """

    def __init__(self, exposition: Exposition, *, port: int, host: str, ready: Readiness | None) -> None:
        self.host = host
        self._server = _bind(host, port)
        if not ip_address(self.address).is_loopback:
            _logger.warning("metrics are served on %s without authentication: everyone who reaches it reads them", host)
        self._server.pages = {
            "/metrics": lambda: (HTTPStatus.OK, exposition.render(), CONTENT_TYPE),
            "/livez": lambda: (HTTPStatus.OK, b"ok\n", "text/plain; charset=utf-8"),
            "/readyz": lambda: _readyz(exposition, ready),
        }
        self.port: int = self._server.server_address[1]
        self._thread = Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="axon-metrics", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The root of the pages."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def address(self) -> str:
        """The address that the socket is bound to."""
        return str(self._server.socket.getsockname()[0])

    def close(self) -> None:
        """Stop and free the port. A second call does nothing."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


_Page: TypeAlias = Callable[[], tuple[HTTPStatus, bytes, str]]


class _Server(ThreadingMixIn, TCPServer):
    """One daemon thread per connection, at most CONNECTIONS of them; one more is closed unanswered."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = CONNECTIONS
    pages: Mapping[str, _Page]

    def __init__(self, address: tuple[str, int], family: socket.AddressFamily) -> None:
        self.address_family = family
        self._slots = BoundedSemaphore(CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        _logger.debug("a request from %s was not answered", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """Reads a request head of at most REQUEST_BYTES within REQUEST_SECONDS, and answers GET and HEAD."""

    server: _Server
    server_version = "axon"
    sys_version = ""
    timeout = REQUEST_SECONDS

    def handle(self) -> None:
        self.rfile = io.BytesIO(self._read_head())
        self.connection.settimeout(REQUEST_SECONDS)
        super().handle()

    def _read_head(self) -> bytes:
        head = b""
        deadline = time.monotonic() + REQUEST_SECONDS
        while b"\r\n\r\n" not in head and b"\n\n" not in head:
            self.connection.settimeout(max(deadline - time.monotonic(), 1e-3))
            piece = self.connection.recv(REQUEST_BYTES)
            head += piece
            if not piece or len(head) > REQUEST_BYTES:
                return b""
        return head

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self._answer(
                HTTPStatus.NOT_FOUND, b"not found: see /metrics, /livez, /readyz\n", "text/plain; charset=utf-8"
            )
            return
        try:
            status, body, content_type = page()
        except Exception:
            _logger.exception("%s could not be answered", self.path)
            status, body, content_type = HTTPStatus.INTERNAL_SERVER_ERROR, b"internal error\n", "text/plain"
        self._answer(status, body, content_type)

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        _logger.debug(format, *args)


def _bind(host: str, port: int) -> _Server:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return _Server((host, port), family)
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise MetricsError(
                f"port {port} on {host} is in use",
                hint="9100 is also node_exporter's default: choose another port, or 0 for a free one",
            ) from error
        raise MetricsError(f"cannot serve metrics on {host} port {port}: {error}") from error


def _readyz(exposition: Exposition, ready: Readiness | None) -> tuple[HTTPStatus, bytes, str]:
    checks: dict[str, str | None] = {}
    if ready is not None:
        try:
            checks.update(ready())
        except Exception as error:
            _logger.exception("the readiness check raised")
            checks["readiness"] = f"{type(error).__name__}: {error}"
    checks["metrics"] = exposition.problem()
    collector = exposition.collector
    passed = all(reason is None for reason in checks.values())
    answer = {
        "ready": passed,
        "checks": {name: "ok" if reason is None else reason for name, reason in checks.items()},
        "config_sha256": collector.config_sha256,
        "schema_sha256": collector.schema_sha256,
        "models": list(collector.models.values()),
    }
    status = HTTPStatus.OK if passed else HTTPStatus.SERVICE_UNAVAILABLE
    return status, msgspec.json.encode(answer) + b"\n", "application/json"
