"""Where a server listens, and who may use it."""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from fusionclf.errors import SettingsError

LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Access:
    """Where a server listens, and who may use it.

    Attributes:
        host: address to listen at.
        port: 0 takes a free one.
        origins: other origins whose pages may use it, such as "https://shop.example".
    """

    host: str = "127.0.0.1"
    port: int = 8000
    origins: Sequence[str] = ()

    @property
    def is_local(self) -> bool:
        """Whether this machine alone reaches it."""
        if self.host.lower() in LOCAL:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def hosts(self) -> set[str] | None:
        """Accepted host names; None for any."""
        return {*LOCAL, self.host.lower()} if self.is_local else None

    def listen(self, count: int = 1) -> list[socket.socket]:
        """Listening sockets, opened before a model is loaded, so that a port in use shows at once.

        The system divides connections among several.

        Raises:
            SettingsError: the address is not available, or the system cannot share one.
        """
        port, family = self.port, socket.AF_INET6 if ":" in self.host else socket.AF_INET
        if count > 1 and not hasattr(socket, "SO_REUSEPORT"):
            raise SettingsError(f"--workers {count}: this system cannot share a port; leave it out")
        try:
            first = socket.create_server((self.host, port), family=family)
            if count == 1:
                return [first]
            with first:  # alone: several would share the port with another server that shares it
                port = first.getsockname()[1]
            address = (self.host, port)
            return [socket.create_server(address, family=family, reuse_port=True) for _ in range(count)]
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SettingsError(
                f"cannot listen at {self.host}:{port} ({reason}); give another --port or --host"
            ) from error

    def url(self, listener: socket.socket) -> str:
        """The address of a listening socket."""
        port = listener.getsockname()[1]
        return f"http://[{self.host}]:{port}" if ":" in self.host else f"http://{self.host}:{port}"
