"""A mail server of others, on loopback, for as long as a test: it takes mail, or says why it does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

from suite.up import free_ports


class Mailbox:
    """What was taken, and what is said to recipients by name before anything is."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.says: dict[str, list[str]] = {}

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """Answers what the test wants said, once for each entry."""
        if self.says.get(address):
            return self.says[address].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keeps a mail."""
        self.taken.append(message_from_bytes(envelope.content, policy=default))  # type: ignore[arg-type]
        return "250 taken"


@contextmanager
def taking_mail() -> Iterator[tuple[Mailbox, str]]:
    """Yields a mailbox and its server's address."""
    mailbox, port = Mailbox(), free_ports(1)[0]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox, f"smtp+plain://127.0.0.1:{port}"
    finally:
        controller.stop()
