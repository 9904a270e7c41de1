"""The launch plan."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from limiter.commands.declaring import argument, group
from limiter.commands.over_http import confirm_option, over_http, reason_option, says, seen_option
from limiter.commands.text import table, told, word

if TYPE_CHECKING:
    from limiter.answers.plan import PlanAnswer
    from limiter.client import Admin


@group()
def plan() -> None:
    """The launch plan: raise MAX_CONCURRENT_BOTS step by step."""


def show_plan(answer: "PlanAnswer") -> str:
    rows = [[step.at, step.max_bots, word(step.status), step.applied_at, step.held_by] for step in answer.steps]
    nothing = told(fr="Rien n'est prévu.", en="Nothing is planned.")
    shown = table(["AT", "MAX_CONCURRENT_BOTS", "STATUS", "APPLIED_AT", "HELD_BY"], rows) if rows else nothing
    return f"Version {answer.version}\n{shown}"


def steps_of(context: click.Context, parameter: click.Parameter, given: Sequence[str]) -> list[dict[str, Any]]:
    """`AT=BOTS …` as the API takes it."""
    steps = list[dict[str, Any]]()
    for text in given:
        at, _, bots = text.rpartition("=")
        if not at or not bots.isdecimal():
            as_in = "2027-01-04T08:00:00Z=100"
            raise click.BadParameter(
                told(fr=f"{text!r} n'est pas QUAND=BOTS, comme {as_in}", en=f"{text!r} is not AT=BOTS, as in {as_in}")
            )
        steps.append({"at": at, "MAX_CONCURRENT_BOTS": int(bots)})
    return steps


@plan.command("show")
@over_http(show_plan)
def plan_show(admin: "Admin") -> "PlanAnswer":
    """Each step: planned, applied, or held and by what."""
    return admin.plan()


@plan.command("set")
@argument("steps", metavar="AT=BOTS…", nargs=-1, required=True, callback=steps_of)
@reason_option
@confirm_option
@seen_option
@over_http(show_plan)
def plan_set(
    admin: "Admin", steps: list[dict[str, Any]], reason: str, confirm_within: int | None, seen: int | None
) -> "PlanAnswer":
    """Replace the plan. AT is RFC 3339, as in 2027-01-04T08:00:00Z=100."""
    if confirm_within is not None:
        steps = [step | {"confirm_within": confirm_within} for step in steps]
    return admin.set_plan(steps, reason, version=seen)


@plan.command("clear")
@reason_option
@seen_option
@over_http(
    says(
        fr="Plus rien n'est prévu ; les limites restent comme elles sont.",
        en="Nothing is planned any more; limits stay as they are.",
    )
)
def plan_clear(admin: "Admin", reason: str, seen: int | None) -> "PlanAnswer":
    """Plan nothing."""
    return admin.clear_plan(reason, version=seen)
