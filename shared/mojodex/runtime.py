"""Helpers for an execution environment: values that threads share, and whether it runs on AWS."""

import ipaddress
from collections.abc import Callable, Mapping
from functools import cache, wraps
from threading import RLock
from typing import Any
from urllib.parse import urlsplit


def made_once[**P, R](make: Callable[P, R]) -> Callable[P, R]:
    """Cache a factory's result like `functools.cache`, but call it once even if threads ask together.

    Tests reset it with `cache_clear`, as with `functools.cache`.
    """
    cached: Any = cache(make)
    making = RLock()

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> R:
        with making:
            value: R = cached(*args, **kwargs)
        return value

    made.cache_clear = cached.cache_clear  # type: ignore[attr-defined]
    return made


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine: `localhost` or a loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local(environment: Mapping[str, str]) -> bool:
    """Tell whether AWS is the emulator on this machine: `AWS_ENDPOINT_URL` names a loopback address.

    Local-only features depend on this, because a plain setting could also be made on AWS.
    """
    return is_loopback(urlsplit(environment.get("AWS_ENDPOINT_URL", "")).hostname or "")
