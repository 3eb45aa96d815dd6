"""What an address on the web gives: by http and https, within a time and a size.

Redirects are followed, to these two schemes only; proxies of the environment are used.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
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
    from urllib.request import Request

    given: Any = timeout
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if given is not None and not (is_number and given > 0):
        raise UsageError(f"timeout is {timeout!r}; it must be a number of seconds above 0")
    patience = PATIENCE if timeout is None else min(float(timeout), 86_400.0)
    end = time.monotonic() + patience
    try:
        request = Request(url, headers={"User-Agent": "silmu", "Accept": "*/*"})
        with _opener().open(request, timeout=patience) as answer:
            if answer.status != 200:
                raise InputError(f"{what} cannot be had: the server answers {answer.status}")
            parts: list[bytes] = []
            size = 0
            while part := answer.read1(_PART):
                parts.append(part)
                size += len(part)
                if size > most:
                    raise InputError(f"{what} has more than {most:,} bytes, the most that is read")
                if time.monotonic() > end:
                    raise TimeoutError
    except TimeoutError as error:
        raise InputError(
            f"{what} took longer than {patience:g} seconds", hint="give a larger timeout"
        ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, InputError):
            raise
        status = getattr(error, "code", None)
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            raise InputError(
                f"{what} took longer than {patience:g} seconds", hint="give a larger timeout"
            ) from error
        said = f"the server answers {status}" if status else reason
        raise InputError(f"{what} cannot be had: {said}") from error
    return b"".join(parts)


def _opener() -> OpenerDirector:
    """An opener that knows the two schemes, and neither files nor ftp."""
    from urllib import request

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPRedirectHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPErrorProcessor,
        request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener
