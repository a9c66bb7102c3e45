"""natsroute.monitoring.http.security"""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.http.security import Access, Login, is_local_name


def header(login: str, scheme: str = "Basic") -> bytes:
    """The header ``Authorization``."""
    return scheme.encode() + b" " + base64.b64encode(login.encode())


class LoginTests(SynchronousTestCase):
    """What is a login; tests.test_site has what it opens."""

    def test_accepts(self) -> None:
        login = Login("user", "pässword:")
        for accepted in (
            header("user:pässword:"),
            header("user:pässword:", "bAsic"),
            b"Basic  " + header("user:pässword:")[6:],
        ):
            self.assertTrue(login.accepts(accepted))
        right = header("user:pässword:")
        for refused in (
            None,
            b"",
            b"Basic",
            right[:-1],
            right + b"x",
            right[6:],
            b"Digest" + right[5:],
            header("user:"),
            header("user:pässword"),
            header("User:pässword:"),
            header(":"),
            b"Basic \xff",
        ):
            self.assertFalse(login.accepts(refused), refused)

    @given(st.binary(max_size=20))
    def test_any_header(self, data: bytes) -> None:
        """Nothing raises."""
        self.assertFalse(Login("user", "password").accepts(data))
        self.assertFalse(Login("user", "password").accepts(b"Basic " + data))

    def test_no_password_in_repr(self) -> None:
        self.assertNotIn("hunter2", repr(Login("user", "hunter2")) + repr(vars(Login("user", "hunter2"))))


def is_host(host: bytes) -> bool:
    """Whether a header ``Host`` is well-formed."""
    return Access(None, local=False).refusal(b"GET", b"/", [host], None) is None


class HostTests(SynchronousTestCase):
    """The header ``Host``; tests.test_site has the other refusals."""

    @given(st.binary(max_size=20))
    def test_any_host(self, host: bytes) -> None:
        """Nothing raises for a well-formed one."""
        for local in (False, True):
            Access(None, local=local).refusal(b"GET", b"/", [host], None)

    def test_local_names(self) -> None:
        for host in (b"127.0.0.1", b"[::1]", b"[::1]:1", b"[fe80::1]", b"localhost:1", b"x.localhost"):
            self.assertTrue(is_host(host) and is_local_name(host), host)
        for host in (b"a", b"a:1", b"127.0.0.1.a", b"xlocalhost", b"1.2.3"):
            self.assertTrue(is_host(host) and not is_local_name(host), host)
        for host in (b"[x]", b"::1", b" a", b"a:", b"a\n"):
            self.assertFalse(is_host(host), host)
