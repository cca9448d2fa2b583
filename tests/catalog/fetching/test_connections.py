"""Connections: every address of a host gets its time, and a stopped command waits for no server."""

import socket
from threading import Event, Timer

import pytest

from fusionclf.catalog.fetching import FetchLimits
from fusionclf.catalog.fetching.download import StoppedError, download, open_client
from tests.picture_server import picture, picture_server


def test_a_second_address_is_tried_after_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, waits = socket.create_connection, {}

    def resolve(host: str, port: int, *_: object, **__: object) -> list[tuple]:
        addresses = ["127.0.0.9", "127.0.0.1"] if host == "shop.example" else [host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    def connect_first_never(
        address: tuple[str, int], timeout: float, source_address: None = None
    ) -> socket.socket:
        waits[address[0]] = timeout
        if address[0] == "127.0.0.9":
            raise TimeoutError
        return connect(address, timeout, source_address)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect_first_never)
    limits = FetchLimits(seconds=30.0, tries=1, is_allowed=lambda _: True)
    with picture_server() as server, open_client(limits, "test") as client:
        url = f"http://shop.example:{server.server_address[1]}/good/"
        assert download(client, url, limits, Event()) == (picture(0), ".png")
    assert waits == pytest.approx({"127.0.0.9": 5.0, "127.0.0.1": 10.0}, abs=1.0)


def test_a_stopped_command_leaves_dripping_headers() -> None:
    limits = FetchLimits(seconds=30.0, tries=1, is_allowed=lambda _: True)
    stopped = Event()
    timer = Timer(0.1, stopped.set)
    with picture_server() as server, open_client(limits, "test") as client:
        timer.start()
        with pytest.raises(StoppedError):
            download(client, server.url("drip/a"), limits, stopped)
    timer.join()
