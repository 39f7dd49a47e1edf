"""E-mails: to real places, one that nobody has, one that is asked to come again, one without a template."""

from collections import Counter
from dataclasses import dataclass, field

from ops.demo.checks import Check, equal, none_of
from ops.demo.gateway import Json
from ops.demo.scenario import World
from ops.demo.tables import table

MAILS = 40


@dataclass
class Mails:
    """Messages over SMTP, and what the server got."""

    run: str
    good: dict[str, str] = field(default_factory=dict)
    gone: str = ""
    slow: str = ""
    untemplated: str = ""

    async def send(self, world: World) -> None:
        """One message to each of so many airports."""
        airports = table("airports").head(MAILS)
        to = [f"{code.lower()}.{self.run}@example.com" for code in airports["iata"]]
        jobs = [
            self._job(address, "notice", {"title": f"News for {city}", "message": f"<{name}> & more"})
            for address, city, name in zip(to, airports["city"], airports["name"], strict=True)
        ]
        values = {"title": "t", "message": "m"}
        odd = [
            self._job(f"gone.{self.run}@example.com", "notice", values),
            self._job(f"slow.{self.run}@example.com", "notice", values),
            self._job(f"late.{self.run}@example.com", "no-such-template", {}),
        ]
        ids = await world.gateway.jobs("communication", [*jobs, *odd])
        self.good = dict(zip(ids, to, strict=False))
        self.gone, self.slow, self.untemplated = ids[MAILS:]

    def _job(self, to: str, template: str, values: Json) -> Json:
        return {"type": "send-email", "data": {"to": to, "template": template, "data": values}}

    async def check(self, world: World) -> list[Check]:
        """Each good message arrived once; the others ended as they should."""
        shown = await world.gateway.shown([*self.good, self.gone, self.slow, self.untemplated])
        messages = [
            message
            for message in (await world.mailbox.get("/messages")).json()
            if f".{self.run}@" in message["to"][0]
        ]
        got = Counter(message["to"][0] for message in messages)
        wrong = [
            f"{address}: {shown[job_id]['state']}, arrived {got[address]} times"
            for job_id, address in self.good.items()
            if shown[job_id]["state"] != "completed" or got[address] != 1
        ]
        slow = (shown[self.slow]["state"], shown[self.slow]["attempts"], got[f"slow.{self.run}@example.com"])
        return [
            none_of("each e-mail arrives once", "e-mails", wrong, len(self.good)),
            equal("a refused recipient is dead", _why(shown[self.gone]), ("dead", "550")),
            equal("an unknown template is dead", _why(shown[self.untemplated]), ("dead", "unknown_template")),
            equal("greylisted: the second attempt arrives", slow, ("completed", 2, 1)),
        ]


def _why(job: Json) -> tuple[str, str | None]:
    return job["state"], (job.get("error") or {}).get("class")
