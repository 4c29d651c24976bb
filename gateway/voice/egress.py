"""The way out: HTTP to addresses that others gave us. Public addresses only, no redirects, no proxies, little read of an answer.

A name is looked up once and the connection made to what was found, so that a name cannot point elsewhere the second time.
"""

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

import httpx

from chassis.kernel.errors import InvalidArgument

CONNECT_S = 5.0
# Behind these stand IPv4 addresses, which may be private: NAT64, 6to4 and Teredo.
TRANSLATED = [ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]


class PrivateAddress(httpx.ConnectError):
    """The name leads to an address that is not public."""


class Egress:
    """What may be called; `allow_private` is for installations whose partners are inside, and for tests."""

    def __init__(self) -> None:
        self.allow_private = False

    def check(self, url: str, field: str) -> None:
        """Raises InvalidArgument where an address can never be called."""
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
            _ = parts.port
        except ValueError as error:
            raise InvalidArgument("INVALID_FIELD", f"{field}: is no address: {error}", field=field) from error
        schemes = ("https", "http") if self.allow_private else ("https",)
        if parts.scheme not in schemes or not host:
            raise InvalidArgument("INVALID_FIELD", f"{field}: must be like https://partner.example/hook", field=field)
        if parts.username or parts.password or parts.fragment:
            raise InvalidArgument("INVALID_FIELD", f"{field}: must hold no credentials and no fragment", field=field)
        if not self.allow_private and (host == "localhost" or host.endswith((".localhost", ".local", ".internal")) or _is_private(host)):
            raise InvalidArgument("PRIVATE_ADDRESS", f"{field}: {host} is not a public address", field=field)

    def client(self, timeout_s: float) -> httpx.AsyncClient:
        """Returns a client whose every request ends within the time, connection and answer together."""
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
        transport = _Transport(self, limits=limits)
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_S)
        return httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)


class _Transport(httpx.AsyncHTTPTransport):
    """Looks a name up, refuses what is private, and connects to what it found."""

    def __init__(self, egress: Egress, limits: httpx.Limits) -> None:
        super().__init__(limits=limits, retries=0)
        self._egress = egress

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx.ConnectError(f"{host} cannot be found") from error
        addresses = [str(one[4][0]) for one in found]
        if not self._egress.allow_private and any(_is_private(address) for address in addresses):
            raise PrivateAddress(f"{host} leads to a private address")
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=addresses[0])
        return await super().handle_async_request(request)


def _is_private(host: str) -> bool:
    """True for an address that is not of the public internet; a name is none."""
    try:
        address = ipaddress.ip_address(host.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    translated = any(address in network for network in TRANSLATED if address.version == network.version)
    return not (mapped or address).is_global or address.is_multicast or translated
