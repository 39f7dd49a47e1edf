"""Tier 3: what users did, many small jobs whose loss would hurt least and which must not be lost either."""

from collections import Counter
from dataclasses import dataclass, field

from ops.demo.checks import Check, equal
from ops.demo.gateway import Json
from ops.demo.scenario import World
from ops.demo.tables import table

EVENTS = 400


@dataclass
class Analytics:
    """An event for each hour of a temperature record."""

    run: str
    ids: list[str] = field(default_factory=list)

    async def send(self, world: World) -> None:
        """All in batches."""
        hours = table("seattle_temps").head(EVENTS)
        jobs: list[Json] = [
            {
                "type": "analytics-track",
                "data": {
                    "eventType": f"temperature-{self.run}",
                    "timestamp": f"{date.isoformat()}Z",
                    "data": {"temperature": float(degrees), "hour": number},
                },
            }
            for number, (date, degrees) in enumerate(zip(hours["date"], hours["temp"], strict=True))
        ]
        self.ids = await world.gateway.jobs("background", jobs)

    async def check(self, world: World) -> list[Check]:
        """All completed."""
        jobs = world.observer.jobs
        states = Counter(jobs[job_id].state if job_id in jobs else "unseen" for job_id in self.ids)
        return [equal("analytics complete", dict(states), {"completed": EVENTS})]
