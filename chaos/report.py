"""The report of a run, as a table and as JSON."""

import json
from collections import Counter
from typing import Any

from chaos.plan import Fate
from chaos.run import Outcome

STATES = ("done", "failed", "skipped", "queued", "running")


def figures(outcome: Outcome, broken: list[str]) -> dict[str, Any]:
    """Return the figures of a run as values for JSON."""
    jobs, breakage = outcome.found.jobs, outcome.breakage
    fates: dict[str, Counter[Fate]] = {}
    for about, answers in outcome.plan.fates.items():
        fates.setdefault(about.partition(" ")[0], Counter()).update(answers)
    return {
        "seed": outcome.plan.seed,
        "jobs": {
            process: dict(Counter(job.state for job in jobs if job.process == process))
            for process in sorted({job.process for job in jobs})
        },
        "attempts": dict(sorted(Counter(job.attempts for job in jobs).items())),
        "failures": dict(Counter(job.reason for job in jobs if job.state == "failed")),
        "kills": dict(breakage.kills.most_common()),
        "kills_at_work": breakage.busy,
        "restarts": breakage.restarts,
        "cuts": breakage.cuts,
        "connections_cut": breakage.connections_cut,
        "schedules_fired": breakage.fired,
        "requests": {about: dict(counts) for about, counts in sorted(fates.items())},
        "messages_sent_twice": outcome.proxies.doubled,
        **_deliveries(outcome.log),
        "mails": len(outcome.proxies.mails),
        "dead_letters": len(outcome.found.dead),
        "dead_letters_redriven": len(outcome.queues.redriven),
        "seconds": outcome.seconds,
        "broken": broken,
    }


def _deliveries(log: list[str]) -> dict[str, int]:
    """Count deliveries in the workers' logs. The log lines of a killed worker are lost."""
    lines = [json.loads(line) for line in log if '"message_id"' in line]
    return {
        "deliveries": len(lines),
        "redeliveries": len(lines) - len({line["message_id"] for line in lines}),
        "answered_as_repeated": sum(line.get("state") == "repeated" for line in lines),
        "retried": sum("message is retried" in line["message"] for line in lines),
    }


def table(report: dict[str, Any]) -> str:
    """Return the figures as a table for a terminal."""
    lines = [f"seed {report['seed']}", "", f"{'jobs':22}" + "".join(f"{state:>9}" for state in STATES)]
    for process, counts in report["jobs"].items():
        lines.append(f"{process:22}" + "".join(f"{counts.get(state, 0):9,}" for state in STATES))
    totals = [sum(counts.get(state, 0) for counts in report["jobs"].values()) for state in STATES]
    lines += [f"{'all ' + format(sum(totals), ','):22}" + "".join(f"{total:9,}" for total in totals), ""]
    for name, value in report.items():
        if name in ("seed", "jobs", "broken"):
            continue
        if isinstance(value, dict):
            inner = (
                ", ".join(f"{n} {c:,}" for n, c in v.items()) if isinstance(v, dict) else f"{v:,}"
                for v in value.values()
            )
            value = "; ".join(f"{key}: {each}" for key, each in zip(value, inner, strict=True))
        lines.append(f"{name.replace('_', ' '):32} {value}")
    lines += ["", *(f"BROKEN  {what}" for what in report["broken"])]
    return "\n".join([*lines, "" if report["broken"] else "nothing lost, nothing done twice"])
