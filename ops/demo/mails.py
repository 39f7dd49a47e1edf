"""E-mails: to real places, one that nobody has, one that is asked to come again, one without a template."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from ops.demo.arrivals import amiss, failures, interruptions
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
        """Each good message arrived, copies only where they may be; the others ended as they should."""
        shown = await world.gateway.shown([*self.good, self.gone, self.slow, self.untemplated])
        got: dict[str, list[str]] = defaultdict(list)
        for message in (await world.mailbox.get("/messages")).json():
            got[message["to"][0]].append(message["message_id"])
        slow = got[f"slow.{self.run}@example.com"]
        return [
            self._arrive(shown, got),
            equal("a refused recipient is dead", _why(shown[self.gone]), ("dead", "550")),
            equal("an unknown template is dead", _why(shown[self.untemplated]), ("dead", "unknown_template")),
            greylisted(shown[self.slow], slow),
        ]

    def _arrive(self, shown: Mapping[str, Json], got: Mapping[str, list[str]]) -> Check:
        wrong = [
            f"{address}: {fault}"
            for job_id, address in self.good.items()
            if (fault := amiss(shown[job_id], got.get(address, []))) is not None
        ]
        again = sum(len(got.get(address, [])) > 1 for address in self.good.values())
        what = f"e-mails, {again} of them sent again under the same Message-ID"
        return none_of("e-mails arrive, again only where an attempt was cut off", what, wrong, len(self.good))


def greylisted(job: Json, message_ids: list[str]) -> Check:
    """The address that was asked to come again got its message from a later attempt.

    An attempt that was cut off may have been told to, and its successor, under the same number, got through.
    """
    name = "greylisted: a later attempt arrives"
    cut = interruptions(job)
    fault = amiss(job, message_ids) or (None if "451" in failures(job) or cut else "it was not put off")
    told = f"attempt {job.get('attempts')}, {cut} cut off, arrived {len(message_ids)} times"
    return Check(name, fault is None, f"{fault}: {told}" if fault else told)


def _why(job: Json) -> tuple[str, str | None]:
    return job["state"], (job.get("error") or {}).get("class")
