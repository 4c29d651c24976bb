"""Signing in and out, and what proves that a form came from our own page."""

import hashlib
import hmac

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway.v1 import access_service_pb2
from chassis.kernel.errors import PermissionDenied, ResourceExhausted
from chassis.kernel.ids import new_id
from gateway.calls import Calls

COOKIE = "argosy_session"
PATH = "/console"
LIFE_S = 12 * 3600
TRIES_A_PERSON = RateLimitItemPerMinute(10)
TRIES_AN_ADDRESS = RateLimitItemPerMinute(60)


class SignIn:
    """Checks passwords and opens sessions, and slows those down who guess."""

    def __init__(self, calls: Calls) -> None:
        self._access = calls.access
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def open(self, request: Request, user_id: str, password: str) -> str:
        """Returns a session's secret; raises Unauthenticated, ResourceExhausted or InvalidArgument."""
        address = request.client.host if request.client else ""
        person = await self._limiter.hit(TRIES_A_PERSON, "person", user_id)
        if not await self._limiter.hit(TRIES_AN_ADDRESS, "address", address) or not person:
            raise ResourceExhausted("TOO_MANY_TRIES", "too many tries; wait a minute", retry_after_s=60)
        asked = access_service_pb2.VerifyPasswordRequest(user_id=user_id, password=password)
        user = await self._access.VerifyPassword(asked)
        opened = await self._access.OpenSession(access_service_pb2.OpenSessionRequest(request_id=new_id(), user_id=user.user_id))
        return str(opened.secret)

    async def close(self, secret: str) -> None:
        """Ends a session."""
        key_id = secret.split("_")[1] if secret.count("_") > 1 else ""
        if key_id:
            await self._access.RevokeKey(access_service_pb2.RevokeKeyRequest(request_id=new_id(), key_id=key_id))


def keep(response: Response, request: Request, secret: str) -> None:
    """Gives the browser the session; pages of others cannot send it with a form."""
    response.set_cookie(
        COOKIE, secret, max_age=LIFE_S, path=PATH, httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )  # fmt: skip


def forget(response: Response) -> None:
    """Takes the session from the browser."""
    response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="lax")


def form_token(secret: str) -> str:
    """Returns what a form of this session must bring."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def need_own_form(request: Request, secret: str, token: str) -> None:
    """Raises PermissionDenied where a form did not come from a page that this session was shown."""
    need_own_site(request)
    if not hmac.compare_digest(form_token(secret), token):
        raise PermissionDenied("FOREIGN_FORM", "the form is old or not ours; go back, load the page anew and send it again")


def need_own_site(request: Request) -> None:
    """Raises PermissionDenied where another site sent the browser here with a form."""
    origin, host = request.headers.get("origin", ""), request.headers.get("host", "")
    foreign = origin not in ("", f"http://{host}", f"https://{host}")
    if foreign or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise PermissionDenied("FOREIGN_FORM", "the form came from another site")
