"""The report of a run: figures, broken promises, and the history of the first job that broke one."""

import re
from collections import Counter

from simulation.checks import Facts
from simulation.kernel import Kernel
from simulation.plan import DAY, Plan
from simulation.world import Run

STATES = ("done", "failed", "skipped", "queued", "running")
# How many lines of a job's history, and how many broken promises, are printed at most.
LINES, BROKEN = 40, 20


def table(run: Run, known: Facts) -> str:
    """Return the figures of a run."""
    counts = Counter((job.process, job.state) for job in known.jobs)
    lines = [f"{'jobs':22}" + "".join(f"{state:>9}" for state in STATES)]
    for process in sorted({job.process for job in known.jobs}):
        lines.append(f"{process:22}" + "".join(f"{counts[process, state]:9,}" for state in STATES))
    totals = [sum(counts[process, state] for process in {p for p, _ in counts}) for state in STATES]
    lines.append(f"{f'all {sum(totals):,}':22}" + "".join(f"{total:9,}" for total in totals))
    struck = ", ".join(f"{kind} {times:,}" for kind, times in run.faults.struck.most_common())
    copies = max((len(copy.others) + 1 for copy in run.services.sqs.copies), default=1)
    skipped = Counter(job.reason for job in known.jobs if job.state == "skipped" and job.process == "events")
    lines += [
        "",
        f"faults that struck: {run.faults.struck.total():,} ({struck})",
        f"invocations: {run.lambdas.invocations:,}, of which {run.lambdas.deaths.total():,} died",
        f"model: asked {run.provider.asked.total():,} times, paid {run.provider.paid.total():,},"
        f" {len(run.provider.paid):,} different answers",
        f"copies of a message in its queue at once: {copies} at most",
        f"mails: {sum(known.mail_days.values()):,}, skipped: {skipped.total():,}",
    ]
    return "\n".join(lines)


def of_job(kernel: Kernel, complaint: str) -> list[str]:
    """Return the trace lines about the job that a complaint names, with its workers' deaths."""
    pattern = _named(complaint)
    if pattern is None:
        return []
    workers = {word for line in kernel.lines if pattern.search(line) and "/" in (word := line.split(" ")[2])}

    def is_about(line: str) -> bool:
        words = line.split(" ", 6)
        worker = words[4] if words[3] == "kill" else words[2]
        died = words[3] in ("kill", "raised") and worker in workers
        return died or bool(pattern.search(line))

    return [line for line in kernel.lines if is_about(line)][:LINES]


def _named(complaint: str) -> re.Pattern[str] | None:
    """Return the pattern of the lines about the job, or None if the complaint names no job."""
    if update := re.search(r"update_document (\d+)", complaint):
        return re.compile(rf'"document_pk": {update[1]}\b|subject={update[1]}\b')
    name = re.search(r"\w+Function-\d+/\d+|\b\d{5,}\b|site\d+\.example|user-\d+|\bm\d+\b", complaint)
    return re.compile(rf"\b{re.escape(name[0])}\b") if name else None


def complaints(run: Run, broken: list[str]) -> str:
    """Return the broken promises, with the history of the first job."""
    kinds = Counter(what.partition(":")[0] for what in broken)
    lines = [f"BROKEN  {what}" for what in broken[:BROKEN]]
    lines += [f"BROKEN by check: {', '.join(f'{kind} {times}' for kind, times in kinds.most_common())}", ""]
    lines += ["history of the first job:", *(f"  {line}" for line in of_job(run.kernel, broken[0]))]
    for _, error, where in run.tracebacks[:2]:
        lines += [f"unknown error {error}", where]
    return "\n".join(lines)


def plan_of(plan: Plan) -> str:
    """Return a plan's faults and work, one per line."""
    work = [f"{each.at / DAY:6.3f} d  {each.kind} {each.number} of user-{each.user}" for each in plan.work]
    return "\n".join([f"seed {plan.seed}, {plan.days:g} days", *map(str, plan.faults), *work])
