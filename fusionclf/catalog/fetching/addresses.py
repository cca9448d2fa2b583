"""Connections to allowed addresses alone: the address is checked that is really connected to.

A name is resolved once, its addresses are checked, and the connection goes to one of these addresses. So a name that
has another address a moment later, or a redirect, leads to no private network.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2
import httpx2

from fusionclf.catalog.fetching.streams import LimitedStream, check_limit
from fusionclf.errors import FusionclfError

UNICAST = ipaddress.ip_network("2000::/3")  # the only public addresses of IPv6 that are given to hosts
NAT64 = ipaddress.ip_network("64:ff9b::/96")
LAST_PORT = 65_535
IsAllowed = Callable[[str], bool]


class AddressError(FusionclfError):
    """A host has no address that may be connected to."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also where it holds another one.

    >>> is_public("93.184.215.14"), is_public("127.0.0.1"), is_public("::ffff:10.0.0.1")
    (True, False, False)
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo and found.teredo[1])
        if found in NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
        return found in UNICAST and found.is_global
    return found.is_global and not found.is_multicast


class CheckedBackend(httpcore2.SyncBackend):
    """Connects by TCP to allowed addresses alone.

    Args:
        is_allowed: IP address → whether it may be connected to.
    """

    def __init__(self, is_allowed: IsAllowed) -> None:
        self._is_allowed = is_allowed

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """As of httpcore2; the host's addresses share the time.

        Raises:
            AddressError: the host has no allowed address.
            ValueError: there is no such port.
        """
        check_limit()
        if port > LAST_PORT:  # getaddrinfo raises OverflowError, or takes the lower 16 bits
            raise ValueError(f"port {port} is above {LAST_PORT}")
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore2.ConnectError(f"no such host {host}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        allowed = [address for address in addresses if self._is_allowed(address)]
        if not allowed:
            raise AddressError(f"{host} is {', '.join(addresses[:3])}, not a public address")
        until = None if timeout is None else time.monotonic() + timeout
        for place, address in enumerate(allowed):
            left = len(allowed) - place
            share = None if until is None else max(0.01, (until - time.monotonic()) / left)
            try:
                return LimitedStream(super().connect_tcp(address, port, share, local_address, socket_options))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if left == 1:
                    raise
        raise AssertionError("unreachable")

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore2.NetworkStream:
        raise AddressError("a Unix socket is not an address of a picture")


class CheckedTransport(httpx2.HTTPTransport):
    """httpx2's transport, connected by a CheckedBackend; proxies of the environment are not used.

    Args:
        is_allowed: IP address → whether it may be connected to.
        connections: at most at the same time.
    """

    def __init__(self, is_allowed: IsAllowed, connections: int) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=10.0,
            network_backend=CheckedBackend(is_allowed),
        )
