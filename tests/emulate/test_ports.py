"""A reserved port: refused to clients, given to nobody else, and free for one server after the other."""

import socket

import pytest

from splitnet.emulate.ports import reserved_address


def test_one_server_after_the_other_listens_and_nobody_else_is_given_it() -> None:
    with reserved_address() as address:
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
            with socket.create_server(address), socket.create_connection(address):  # it sets SO_REUSEADDR
                pass
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(address)
