"""Links beyond this machine are closed to strangers, or asked for by name as open."""

from pathlib import Path

import pytest

from splitnet.config import TlsConfig, check_links
from splitnet.errors import ConfigError

TLS = TlsConfig(directory=Path("cloud"))


ALL = "0.0.0.0"  # noqa: S104  (nothing is bound)


@pytest.mark.parametrize("beyond", [ALL, "::", "10.0.0.1", "edge.example", "localhost.example"])
def test_beyond_loopback_a_certificate_or_plaintext_by_name(beyond: str) -> None:
    here, there = ("127.0.0.1", 1), (beyond, 1)
    for listen, upstream in ((there, None), (None, [there]), (here, [("localhost", 2), there]), (there, [here])):
        with pytest.raises(ConfigError, match=r"--tls DIR.*plaintext = true") as refused:
            check_links(listen, upstream, tls=None, plaintext=False)
        assert beyond in str(refused.value)
        check_links(listen, upstream, tls=TLS, plaintext=False)
        check_links(listen, upstream, tls=None, plaintext=True)


def test_loopback_needs_neither_and_both_contradict() -> None:
    check_links(("localhost", 0), [("127.0.0.2", 1), ("::1", 1)], tls=None, plaintext=False)
    check_links(None, None, tls=None, plaintext=False)
    with pytest.raises(ConfigError, match="one of both"):
        check_links(None, None, tls=TLS, plaintext=True)
