"""`tierflow bench jobs`: no-op jobs of tier 2 from `job-requests` to their terminal state, and the cost."""

from typing import Any

from ops.bench.drain import Figures, Shape, drain
from ops.stack.progress import Say

NO_OP = Shape("no-op jobs of tier 2")


async def run(jobs: int, profile: bool, say: Say) -> dict[str, Any]:
    """Drain the jobs; then, when `profile`, half as many with the loops of router and worker sampled."""
    figures, _ = await drain(NO_OP, jobs, say)
    say(f"jobs: {jobs} ended after {figures.ended_s:.1f} s")
    # Apart and on fresh servers, because the sampling costs a little.
    samples = (await drain(NO_OP, max(jobs // 2, 1), say, profile=True))[1] if profile else {}
    lines = [*table(NO_OP.name, figures), *_profile(samples)]
    return {**as_dict(figures), "profile": samples, "lines": lines}


def as_dict(figures: Figures) -> dict[str, Any]:
    """For JSON; CPU in microseconds a job."""
    jobs = figures.jobs
    per_job = {name: round(used / jobs * 1e6, 1) for name, used in figures.cpu_s.items()}
    return {
        "jobs": jobs,
        "jobs_per_s": round(jobs / figures.ended_s),
        "steady_jobs_per_s": round(figures.steady_rate),
        "readable_jobs_per_s": round(jobs / figures.readable_s),
        "seconds": {
            "produced": round(figures.produced_s, 2),
            "ended": round(figures.ended_s, 2),
            "readable": round(figures.readable_s, 2),
        },
        "cpu_us_per_job": per_job,
        "cpu_us_per_job_total": round(sum(us for name, us in per_job.items() if name != "bench itself"), 1),
        "threads_us_per_job": {
            name: {kind: round(used / jobs * 1e6, 1) for kind, used in threads.items()}
            for name, threads in figures.threads_s.items()
        },
        "rss_mb": figures.rss_mb,
        "jobs_per_transaction": {
            name: round(jobs / max(count, 1), 1) for name, count in figures.transactions.items()
        },
    }


def table(name: str, figures: Figures) -> list[str]:
    """The figures for people."""
    found = as_dict(figures)
    lines = [
        f"{name}, {found['jobs']:,} drained",
        f"  ended     {found['jobs_per_s']:>8,} jobs/s  (in the middle {found['steady_jobs_per_s']:,})",
        f"  readable  {found['readable_jobs_per_s']:>8,} jobs/s  (status of the last one)",
        f"  CPU       {found['cpu_us_per_job_total']:>8,} us a job",
    ]
    for process, used in sorted(found["cpu_us_per_job"].items(), key=lambda item: -item[1]):
        threads = found["threads_us_per_job"].get(process, {})
        detail = ", ".join(f"{kind} {us}" for kind, us in threads.items())
        lines.append(f"    {process:14} {used:>7} us  {f'({detail})' if detail else ''}".rstrip())
    each = ", ".join(f"{name} {count:g}" for name, count in found["jobs_per_transaction"].items())
    memory = ", ".join(f"{name} {size} MB" for name, size in found["rss_mb"].items())
    return [*lines, f"  jobs a transaction: {each}; memory: {memory}"]


def _profile(samples: dict[str, Any], top: int = 15) -> list[str]:
    lines = []
    for name, found in samples.items():
        busy = max(found["busy"], 1)
        lines += ["", f"{name}: loop's thread in Python code in {busy} of {found['samples']} samples"]
        own = [(who, seen) for who, seen in found["own"].items() if who != "loop"][:top]
        lines += [f"  {seen / busy:5.1%} {who}" for who, seen in own]
    return lines
