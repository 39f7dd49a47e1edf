"""From a schedule that fails to a short one that fails in the same way."""

from dataclasses import replace

from ops.simulation.draws import Action
from ops.simulation.jobs import Plan
from ops.simulation.schedule import Schedule, replayed


def shrunk(schedule: Schedule, rule: str) -> Schedule:
    """Leave out actions, many at a time, then one by one, as long as the same rule is broken."""
    actions = schedule.actions
    size = max(1, len(actions) // 2)
    while True:
        shorter = _without(schedule, actions, size, rule)
        if shorter is not None:
            actions = shorter
        elif size == 1:
            break
        else:
            size //= 2
        size = max(1, min(size, len(actions)))
    return _fewer_jobs(replace(schedule, actions=actions), rule)


def _without(schedule: Schedule, actions: list[Action], size: int, rule: str) -> list[Action] | None:
    for at in range(0, len(actions), size):
        rest = actions[:at] + actions[at + size :]
        if _fails(replace(schedule, actions=rest), rule):
            return rest
    return None


def _fewer_jobs(schedule: Schedule, rule: str) -> Schedule:
    """Jobs at the end of the list that are not needed are not even sent."""
    while schedule.plans:
        fewer = replace(schedule, plans=schedule.plans[:-1])
        if not _fails(fewer, rule):
            return schedule
        schedule = fewer
    return schedule


def _fails(schedule: Schedule, rule: str) -> bool:
    violation = replayed(schedule)
    return violation is not None and violation.rule == rule


def told(schedule: Schedule) -> str:
    """The schedule as people read it: its jobs, its actions, what came of them."""
    notes: list[str] = []
    violation = replayed(schedule, notes)
    jobs = [_said(plan) for plan in schedule.plans]
    head = f"seed {schedule.seed}, {schedule.limits}"
    return "\n".join([head, *jobs, *(f"  {note}" for note in notes), f"VIOLATION {violation}"])


def _said(plan: Plan) -> str:
    more = [f"not before {plan.delay_ms} ms"] if plan.delay_ms else []
    more += ["other data"] if plan.other_data else []
    more += ["a result too large"] if plan.is_huge else []
    return (
        f"  plan {plan.number}: {plan.kind} of key {plan.key}, lane {plan.lane.label},"
        f" partition {plan.partition}, {plan.attempts} attempts{''.join(', ' + word for word in more)}"
    )
