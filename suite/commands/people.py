"""`argosy key` and `argosy user`: who may call, and who may sign in."""

import time
from typing import Annotated

import typer

from argosy.gateway.v1 import access_service_pb2
from suite.commands.shared import calling, console, run

key = typer.Typer(no_args_is_help=True, help="API keys.")
user = typer.Typer(no_args_is_help=True, help="People who sign in to the console.")
ROLES = [name.removeprefix("ROLE_").lower() for name in access_service_pb2.Role.keys()[1:]]


@key.command("create")
def key_create(
    account: str, permission: Annotated[list[str], typer.Option(help="What it may do; a trailing * means all that begin so.")]
) -> None:
    """Make an API key for an account and show its secret, this once."""

    async def work() -> str:
        request = access_service_pb2.CreateKeyRequest(request_id=f"key-{time.time_ns()}", account=account, permissions=permission)
        async with calling() as calls:
            return (await calls.access.CreateKey(request)).secret

    console.print(run(work()), soft_wrap=True, highlight=False)


@user.command("set")
def user_set(
    name: str,
    role: Annotated[str, typer.Option(help="What they are: warehouse, support, operations, finance, admin, …")],
    password: Annotated[str, typer.Option(prompt="Password, at least 10 characters", hide_input=True, confirmation_prompt=True)],
) -> None:
    """Set a person up, or change their role and password; their sessions end."""
    if role not in ROLES:
        raise typer.BadParameter(f"choose one of {', '.join(ROLES)}")

    async def work() -> None:
        request = access_service_pb2.SetUserRequest(
            request_id=f"user-{time.time_ns()}", user_id=name, role=access_service_pb2.Role.Value(f"ROLE_{role.upper()}"), password=password
        )
        async with calling() as calls:
            await calls.access.SetUser(request)

    run(work())
    console.print(f"{name} signs in as {role}")


@user.command("list")
def user_list() -> None:
    """List people."""

    async def work() -> None:
        async with calling() as calls:
            answer = await calls.access.ListUsers(access_service_pb2.ListUsersRequest(page_size=500))
        for one in answer.users:
            role = access_service_pb2.Role.Name(one.role).removeprefix("ROLE_").lower()
            console.print(f"{one.user_id:24} {role}{' (disabled)' if one.disabled else ''}", highlight=False)

    run(work())
