"""`argosy plan`: forecasts and what to order."""

import asyncio
import sys
import time
from typing import Annotated

import typer
from rich.table import Table

from argosy.inventory.v1 import planning_service_pb2
from argosy.ops.v1 import jobs_service_pb2
from suite.commands.shared import calling, console, progress_bars, run

plan = typer.Typer(no_args_is_help=True, help="Forecasts, and what to order.")
LOOK_S = 0.3
SHOWN = 20


@plan.command("run")
def plan_run(
    location: Annotated[str, typer.Option(help="Only this location; all where empty.")] = "",
    period_days: Annotated[int, typer.Option(help="The length of a period of the history, in days.")] = 7,
) -> None:
    """Forecast every item at every location, propose what to order, and show how good the forecasts are."""

    async def work() -> int:
        async with calling() as calls:
            request = planning_service_pb2.StartPlanningRequest(
                request_id=f"plan-{time.time_ns()}", location_id=location, period_days=period_days
            )
            job = await calls.planning.StartPlanning(request)
            with progress_bars() as progress:
                while job.status == jobs_service_pb2.JOB_STATUS_RUNNING:
                    await asyncio.sleep(LOOK_S)
                    job = await calls.jobs("inventory").GetJob(jobs_service_pb2.GetJobRequest(service="inventory", job_id=job.job_id))
                    progress("planning", job.done, job.total or 1)
            console.print(job.message)
            figures = await calls.planning.GetPlanningFigures(planning_service_pb2.GetPlanningFiguresRequest(location_id=location))
            show_figures(figures)
            proposals = await calls.planning.ListReorderProposals(
                planning_service_pb2.ListReorderProposalsRequest(
                    status=planning_service_pb2.PROPOSAL_STATUS_OPEN, location_id=location, page_size=SHOWN
                )
            )
            show_proposals(proposals)
            return int(job.status != jobs_service_pb2.JOB_STATUS_SUCCEEDED)

    sys.exit(run(work()))


def show_figures(figures: planning_service_pb2.PlanningFigures) -> None:
    """Prints how good forecasts were in the back-test."""
    if figures.measured:
        console.print(
            f"back-test over {figures.measured} of {figures.forecasts} forecasts: MASE {figures.mase_thousandths / 1000:.3f}, naive "
            f"{figures.naive_mase_thousandths / 1000:.3f}; better than naive for {figures.better_than_naive}"
        )


def show_proposals(answer: planning_service_pb2.ListReorderProposalsResponse) -> None:
    """Prints what is proposed."""
    if not answer.proposals:
        console.print("nothing is to be ordered")
        return
    table = Table(title="To be ordered", title_justify="left")
    for name in ("item", "for", "from", "quantity", "why"):
        table.add_column(name, justify="right" if name == "quantity" else "left")
    for one in answer.proposals:
        table.add_row(one.sku, one.location_id, one.supplier_id or "?", str(one.quantity), one.reason)
    console.print(table)
    if answer.next_page_token:
        console.print("… and more; GET /v1/reorderProposals lists them all")
