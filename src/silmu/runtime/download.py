"""What an address on the web gives: by http and https, within a time and a size.

Redirects are followed, to these two schemes only; proxies of the environment are used.
"""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any, final

from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from concurrent.futures import Future
    from urllib.request import OpenerDirector

PATIENCE = 60.0
"""How many seconds an address may take where nobody says."""

_PART = 1 << 16


def fetch(url: str, timeout: float | None, most: int, what: str) -> bytes:
    """The bytes behind an address.

    Args:
        url: with http or https.
        timeout: how many seconds it may take as a whole; PATIENCE, if None.
        most: how many bytes it may give.
        what: its name in messages.

    Raises:
        InputError: it cannot be reached, gives no bytes or too many, or takes too long.
        UsageError: the timeout is no number of seconds.
    """
    import http.client
    import threading
    from concurrent.futures import Future

    given: Any = timeout
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if given is not None and not (is_number and given > 0):
        raise UsageError(f"timeout is {timeout!r}; it must be a number of seconds above 0")
    patience = PATIENCE if timeout is None else min(float(timeout), 86_400.0)
    end = time.monotonic() + patience
    found: Future[bytes] = Future()
    # Nothing ends the look-up of a name in time; so it is waited for, as long as that may take.
    thread = threading.Thread(target=_answer, args=(found, url, end, most, what), daemon=True)
    thread.start()
    try:
        return found.result(patience)
    except InputError:
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            raise InputError(
                f"{what} took longer than {patience:g} seconds", hint="give a larger timeout"
            ) from error
        status = getattr(error, "code", None)
        said = f"the server answers {status}" if status else reason
        raise InputError(f"{what} cannot be had: {said}") from error


def _answer(found: Future[bytes], url: str, end: float, most: int, what: str) -> None:
    from urllib.error import HTTPError

    try:
        found.set_result(_read(url, end, most, what))
    except BaseException as error:
        if isinstance(error, HTTPError):
            error.close()  # for it holds the answer, and with that the socket
        found.set_exception(error)


def _read(url: str, end: float, most: int, what: str) -> bytes:
    from urllib.request import Request

    request = Request(url, headers={"User-Agent": "silmu", "Accept": "*/*"})
    with _opener(end).open(request, timeout=max(end - time.monotonic(), 0.001)) as answer:
        if answer.status != 200:
            raise InputError(f"{what} cannot be had: the server answers {answer.status}")
        parts: list[bytes] = []
        size = 0
        while part := answer.read1(_PART):
            parts.append(part)
            size += len(part)
            if size > most:
                raise InputError(f"{what} has more than {most:,} bytes, the most that is read")
    return b"".join(parts)


@final
class _InTime(io.RawIOBase):
    """What a socket gives until a moment of `time.monotonic`.

    A timeout of the socket's own begins anew with each byte, also within a line of the header.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, end: float) -> None:
        self._raw, self._socket, self._end = raw, sock, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _opener(end: float) -> OpenerDirector:
    """An opener that knows the two schemes, and neither files nor ftp."""
    import http.client
    from urllib import request

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            file: Any = self.fp
            self.fp = io.BufferedReader(_InTime(file.detach(), sock, end))

    def of(kind: type[http.client.HTTPConnection]) -> Callable[..., http.client.HTTPConnection]:
        def made(host: str, **options: Any) -> http.client.HTTPConnection:
            connection = kind(host, **options)
            connection.response_class = Response
            return connection

        return made

    class Plain(request.HTTPHandler):
        def http_open(self, req: request.Request) -> http.client.HTTPResponse:
            return self.do_open(of(http.client.HTTPConnection), req)

    class Secure(request.HTTPSHandler):
        def https_open(self, req: request.Request) -> http.client.HTTPResponse:
            return self.do_open(of(http.client.HTTPSConnection), req)

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        Plain,
        Secure,
        request.HTTPRedirectHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPErrorProcessor,
        request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener
