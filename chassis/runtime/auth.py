"""Who calls: an API key, or a service's signed token. What is found is remembered for a minute.

Keys are random and looked up by their SHA-256 (a password hash would cost every call); the gateway owns them, so
services ask it. Tokens between services are JWTs signed with the installation's secret.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable

import jwt

from chassis.kernel.errors import Unauthenticated
from chassis.runtime.settings import SERVICES
from chassis.runtime.writer import Principal

ALGORITHM = "HS256"
AUDIENCE = "argosy"
TOKEN_S = 300
REMEMBER_S = 60
MOST_REMEMBERED = 10_000
Resolve = Callable[[str, bytes], Awaitable[Principal | None]]


def service_principal(service: str) -> Principal:
    """Returns a service as a caller: it may do what the call graph needs, which is anything but access and approval."""
    return Principal(f"service:{service}", ("*",))


class Tokens:
    """Makes the tokens that a service shows others."""

    def __init__(self, service: str, secret: str) -> None:
        self._service = service
        self._secret = secret
        self._token = ""
        self._until = 0.0

    def current(self) -> str:
        """Returns a token with at least half its life left."""
        now = time.time()
        if self._until - now < TOKEN_S / 2:
            claims = {"sub": f"service:{self._service}", "aud": AUDIENCE, "iat": int(now), "exp": int(now) + TOKEN_S}
            self._token = jwt.encode(claims, self._secret, ALGORITHM)
            self._until = now + TOKEN_S
        return self._token


class Authenticator:
    """Tells who calls from what they send as `authorization`."""

    def __init__(self, secret: str, resolve: Resolve) -> None:
        self._secret = secret
        self._resolve = resolve
        self._known: dict[str, tuple[float, Principal]] = {}

    async def identify(self, authorization: str) -> Principal:
        """Returns the caller; raises Unauthenticated."""
        now = time.time()
        known = self._known.get(authorization)
        if known is not None and known[0] > now:
            return known[1]
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "bearer" or not credential:
            raise Unauthenticated("NO_CREDENTIALS", "send an API key as 'Authorization: Bearer <key>'")
        until, principal = await self._key(credential, now) if credential.startswith("ak_") else self._token(credential)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[authorization] = (min(until, now + REMEMBER_S), principal)
        return principal

    async def _key(self, key: str, now: float) -> tuple[float, Principal]:
        principal = await self._resolve(key.split("_")[1], hashlib.sha256(key.encode()).digest())
        if principal is None:
            raise Unauthenticated("BAD_CREDENTIALS", "the API key is not known or was revoked")
        return now + REMEMBER_S, principal

    def _token(self, token: str) -> tuple[float, Principal]:
        try:
            claims = jwt.decode(token, self._secret, [ALGORITHM], audience=AUDIENCE, options={"require": ["exp", "sub"]})
        except jwt.InvalidTokenError as error:
            raise Unauthenticated("BAD_CREDENTIALS", "the token is not valid") from error
        kind, _, name = claims["sub"].partition(":")
        if kind != "service" or name not in (*SERVICES, "suite"):
            raise Unauthenticated("BAD_CREDENTIALS", "the token names no service of Argosy")
        return float(claims["exp"]), service_principal(name)
