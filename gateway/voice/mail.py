"""Mail to customers, handed over to the installation's SMTP server; one connection for a batch."""

from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formataddr
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import aiosmtplib

TIMEOUT_S = 20.0
PERMANENT = 500
# By scheme: the port, whether TLS comes first, whether it is asked for.
SCHEMES = {"smtps": (465, True, False), "smtp": (587, False, True), "smtp+plain": (25, False, False)}


class Result(NamedTuple):
    """What came of a mail: what the server said, whether it took it, and whether it never will."""

    text: str
    taken: bool = False
    never: bool = False


class Letter(NamedTuple):
    """A mail, before it has headers."""

    notice_id: str
    sender: str
    sender_name: str
    reply_to: str
    to_address: str
    subject: str
    text: str
    html: str
    language: str


class Mail:
    """The way to the server; `set_up` is called once, before anything is sent."""

    def __init__(self) -> None:
        self._server: aiosmtplib.SMTP | None = None

    @property
    def is_set(self) -> bool:
        """Says whether this installation sends mail."""
        return self._server is not None

    def set_up(self, url: str) -> None:
        """Takes an address like smtps://user:password@host:465; none where empty. Raises ValueError for one of no known kind."""
        if not url:
            return
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise ValueError(f"ARGOSY_SMTP_URL must begin with {', '.join(f'{one}://' for one in SCHEMES)} and name a host")
        port, first, asked = SCHEMES[parts.scheme]
        self._server = aiosmtplib.SMTP(
            hostname=parts.hostname, port=parts.port or port, use_tls=first, start_tls=asked, timeout=TIMEOUT_S,
            username=unquote(parts.username) if parts.username else None, password=unquote(parts.password) if parts.password else None,
        )  # fmt: skip

    async def send(self, letters: Sequence[Letter]) -> list[Result]:
        """Hands mails over, one after the other; the results are in their order."""
        if self._server is None:
            return [Result("this installation sends no mail: ARGOSY_SMTP_URL is not set")] * len(letters)
        results: list[Result] = []
        try:
            async with self._server as server:
                for letter in letters:
                    results.append(await _hand_over(server, letter))
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            # What was handed over was, whatever became of the goodbye.
            results += [Result(_said(error, ""))] * (len(letters) - len(results))
        return results


async def _hand_over(server: aiosmtplib.SMTP, letter: Letter) -> Result:
    try:
        _, answer = await server.send_message(as_message(letter))
    except aiosmtplib.SMTPRecipientsRefused as error:
        refused = error.recipients[0]
        return Result(_said(refused, letter.to_address), never=refused.code >= PERMANENT)
    except aiosmtplib.SMTPResponseException as error:
        return Result(_said(error, letter.to_address), never=error.code >= PERMANENT)
    except ValueError as error:
        # An address that no header takes.
        return Result(_said(error, letter.to_address), never=True)
    return Result(answer[:200], taken=True)


def as_message(letter: Letter) -> EmailMessage:
    """Returns a mail as it is handed over: words and HTML. Sent again, it has the same Message-ID."""
    message = EmailMessage()
    message["From"] = formataddr((letter.sender_name, letter.sender))
    message["To"] = letter.to_address
    message["Subject"] = letter.subject
    message["Message-ID"] = f"<{letter.notice_id}@{letter.sender.rpartition('@')[2]}>"
    message["Content-Language"] = letter.language
    # No answer by machines: RFC 3834.
    message["Auto-Submitted"] = "auto-generated"
    if letter.reply_to:
        message["Reply-To"] = letter.reply_to
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message


def _said(error: Exception, address: str) -> str:
    """Returns what a server said, without the customer's address in it."""
    text = f"{error.code} {error.message}" if isinstance(error, aiosmtplib.SMTPResponseException) else str(error) or type(error).__name__
    return (text.replace(address, "(the customer)") if address else text)[:500]
