"""`python -m bench.cost`: USD per day of running the bundle for 1,000, 100,000 and 10,000,000 users.

Measured, from `bench/results/throughput.json`: GB-seconds, prompt tokens, model calls and log bytes per job.
Assumed: everything else, such as prices (as published for us-east-1 in 2026, without free tiers), the work of
a user, the speed of the model and its thinking, and the cost of a website's page. Each assumption is an
option. The database is Mojodex's own and is not included.

A second table shows the cost of the models for the most users, before and after each cost reduction, with and
without dormant users and for several amounts of thinking. No model was asked for these figures.
"""

import argparse
import json
import sys
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any

from bench.results import RESULTS, write_json

USERS = (1_000, 100_000, 10_000_000)
MILLION, GIGABYTE = 1e6, 1e9
DAYS_OF_MONTH = 30
# A batch is received, run and deleted at once. Messages are sent ten at a time.
BATCH = 10
# SendMessageBatch, ReceiveMessage, DeleteMessageBatch.
SQS_REQUESTS_A_BATCH = 3
# SES reports each mail's sending and its delivery status.
EVENTS_A_MAIL = 2
# The model latency (seconds) at which the bench measures GB-seconds.
MEASURED_LATENCY = 0.3
# Cost reductions since commit fe31edc, in order, and whether the template's defaults include them.
LEVERS = {
    "fences": ("fences round foreign text, with a nonce", True),
    "effort": ("reasoning effort low or minimal", True),
    "gone": ("no model for dormant users", True),
    "flex": ("LlmServiceTier=flex", False),
}
BY_DEFAULT = [name for name, (_, is_default) in LEVERS.items() if is_default]
# Prompt tokens at fe31edc, schema included, as bench.throughput measured them there.
TOKENS_BEFORE = {"extract_todos": 1747, "reschedule_todo": 1029, "events": 614}
PAGE = "page"
# The reasoning effort that each prompt's header asks for.
EFFORT = {"extract_todos": "low", "reschedule_todo": "low", "events": "minimal", PAGE: "minimal"}
# Average tokens of the right answers to the labelled cases (evals); a page has nine verdicts.
ANSWERS = {"extract_todos": 66, "reschedule_todo": 42, "events": 116, PAGE: 101}
# Columns of the second table: the share of dormant users, and tokens of thinking.
SCENARIOS = ((0.0, 220.0), (0.6, 220.0), (0.0, 1000.0), (0.6, 1000.0), (0.0, 0.0), (0.6, 0.0))


@dataclass(frozen=True)
class Assumed:
    """Assumptions. Names are those of the options; prices are USD."""

    # aws.amazon.com/lambda/pricing: arm64, first tier.
    lambda_gb_second: float = 0.0000133334
    lambda_million_requests: float = 0.20
    # aws.amazon.com/sqs/pricing: standard queues.
    sqs_million_requests: float = 0.40
    # aws.amazon.com/eventbridge/pricing: Scheduler.
    scheduler_million_invocations: float = 1.00
    # aws.amazon.com/ses/pricing: outbound.
    ses_thousand_mails: float = 0.10
    # aws.amazon.com/cloudwatch/pricing: ingestion; one custom metric, alarm and dashboard a month.
    logs_gb: float = 0.50
    metric_month: float = 0.30
    alarm_month: float = 0.10
    dashboard_month: float = 3.00
    # aws.amazon.com/kms/pricing: one key a month.
    key_month: float = 1.00
    # aws.amazon.com/vpc/pricing: a NAT gateway; functions in a VPC need one to reach the model and websites.
    nat_hour: float = 0.045
    nat_gb: float = 0.045
    # openai.com/api/pricing: gpt-5-mini, text-embedding-ada-002. Our prompts share at most 346 tokens, so
    # none of them reaches the 1,024 tokens from which a prompt is cached.
    prompt_million_tokens: float = 0.25
    completion_million_tokens: float = 2.00
    embedding_million_tokens: float = 0.10
    # The flex tier's share of the price, and the share of calls that are not too late for it.
    flex_price: float = 0.5
    flex_share: float = 0.95
    # Share of dormant users (no activity for DormantAfterDays). They have moves and mails only.
    gone: float = 0
    # Per user and day; mails on five days of seven.
    tasks: float = 2
    moves: float = 0.5
    mails: float = 5 / 7
    websites: float = 0.01
    # Seconds of an answer; its thinking tokens at medium effort; the share of these at lower efforts. With
    # 220, an answer has the 300 tokens of earlier tables of this bench.
    latency: float = 3
    thinking: float = 220
    low: float = 0.33
    minimal: float = 0
    # Per website.
    pages: float = 100
    # Per page; bench.website counts its calls.
    page_gb_seconds: float = 0.6
    page_prompt_tokens_before: float = 2_500
    # Grown like a prompt with nine chunks.
    page_prompt_tokens: float = 2_700
    page_embedding_tokens: float = 2_000
    # Bytes through a NAT gateway: per model call, and per page with its own calls.
    call_bytes: float = 20_000
    page_bytes: float = 250_000
    # For the whole bundle: one schedule every five minutes, two every ten, two every hour and one a day, each
    # with 512 MB for a second. Seven queues, each with five pollers that long-poll for 20 s.
    schedule_runs: float = 288 + 2 * 144 + 2 * 24 + 1
    schedule_gb_seconds: float = 0.5
    # Half a GB for a fifth of a second, for ten events in one transaction.
    feedback_gb_seconds: float = 0.1
    empty_receives: float = 7 * 5 * 86_400 / 20
    # Each combination of a metric's name and dimension values counts. This is the most, when every process
    # has had every outcome with one model. Alarms, keys and dashboards are the template's.
    metrics: float = 120
    alarms: float = 65
    keys: float = 1
    dashboards: float = 1
    # None outside of a VPC, or if the VPC has one anyway.
    nat_gateways: float = 0


def cost(
    assumed: Assumed, measured: dict[str, Any], users: int, levers: Collection[str] = BY_DEFAULT
) -> dict[str, float]:
    """Return the USD of one day, by item."""
    loads = {row["process"]: row for row in measured["loads"] if row["latency"] == "0.3 s"}
    here = users * (1 - assumed.gone)
    served = here if "gone" in levers else users
    asking = {
        "extract_todos": here * assumed.tasks,
        "reschedule_todo": served * assumed.moves,
        "events": served * assumed.mails,
    }
    # Without the model, a rule moves a dormant user's to-dos once a week.
    jobs = asking | {"reschedule_todo": (served + (users - served) / 7) * assumed.moves}
    pages = here * assumed.websites * assumed.pages
    calls = {name: n * loads[name]["calls_per_job"] for name, n in asking.items()} | {PAGE: pages}
    tokens = {name: each["prompt"] for name, each in measured["tokens"].items()}
    prompt = (
        tokens | {PAGE: assumed.page_prompt_tokens}
        if "fences" in levers
        else TOKENS_BEFORE | {PAGE: assumed.page_prompt_tokens_before}
    )
    share = {"low": assumed.low, "minimal": assumed.minimal}
    thinking = {
        name: assumed.thinking * (share[effort] if "effort" in levers else 1)
        for name, effort in EFFORT.items()
    }
    price = 1 - assumed.flex_share * (1 - assumed.flex_price) if "flex" in levers else 1
    # A batch shares the time of its model calls. Each worker has 1 GB.
    waiting = (assumed.latency - MEASURED_LATENCY) / BATCH
    own = sum(n * measured["gb_seconds_per_1000"][name] / 1000 for name, n in jobs.items())
    gb_seconds = (
        own
        + waiting * sum(calls[name] for name in jobs)
        + pages * assumed.page_gb_seconds
        + assumed.schedule_runs * assumed.schedule_gb_seconds
    )
    # EventBridge sends SES's events one at a time.
    events = jobs["events"] * EVENTS_A_MAIL
    gb_seconds += events / BATCH * assumed.feedback_gb_seconds
    feedback_requests = events + events / BATCH * (SQS_REQUESTS_A_BATCH - 1)
    batches = (sum(jobs.values()) + pages) / BATCH
    logged = sum(n * loads[name]["log_bytes_per_job"] for name, n in jobs.items())
    through_nat = sum(calls[name] for name in jobs) * assumed.call_bytes + pages * assumed.page_bytes
    a_month = {
        "CloudWatch metrics": assumed.metrics * assumed.metric_month,
        "CloudWatch alarms": assumed.alarms * assumed.alarm_month,
        "CloudWatch dashboard": assumed.dashboards * assumed.dashboard_month,
        "KMS key": assumed.keys * assumed.key_month,
    }
    return {
        "Lambda, GB-seconds": gb_seconds * assumed.lambda_gb_second,
        "Lambda, requests": (batches + events / BATCH + assumed.schedule_runs)
        / MILLION
        * assumed.lambda_million_requests,
        "SQS": (batches * SQS_REQUESTS_A_BATCH + feedback_requests + assumed.empty_receives)
        / MILLION
        * assumed.sqs_million_requests,
        "EventBridge Scheduler": assumed.schedule_runs / MILLION * assumed.scheduler_million_invocations,
        "SES": jobs["events"] / 1000 * assumed.ses_thousand_mails,
        "CloudWatch logs": logged / GIGABYTE * assumed.logs_gb,
        **{name: usd / DAYS_OF_MONTH for name, usd in a_month.items()},
        "NAT": assumed.nat_gateways * 24 * assumed.nat_hour
        + (through_nat / GIGABYTE * assumed.nat_gb if assumed.nat_gateways else 0),
        "model, prompts": price
        * sum(n * prompt[name] for name, n in calls.items())
        / MILLION
        * assumed.prompt_million_tokens,
        "model, answers": price
        * sum(n * (ANSWERS[name] + thinking[name]) for name, n in calls.items())
        / MILLION
        * assumed.completion_million_tokens,
        "model, embeddings": pages
        * assumed.page_embedding_tokens
        / MILLION
        * assumed.embedding_million_tokens,
    }


def by_lever(assumed: Assumed, measured: dict[str, Any], users: int) -> dict[str, list[float]]:
    """Return the models' USD of one day, before and after each cost reduction, for each scenario."""
    found: dict[str, list[float]] = {}
    for n, title in enumerate(["before", *(title for title, _ in LEVERS.values())]):
        found[title] = []
        for gone, thinking in SCENARIOS:
            scenario = replace(assumed, gone=gone, thinking=thinking)
            row = cost(scenario, measured, users, list(LEVERS)[:n])
            found[title].append(sum(usd for name, usd in row.items() if name.startswith("model")))
    return found


def print_levers(found: dict[str, list[float]], users: int) -> None:
    """Print the table of cost reductions, with the remaining share."""
    print(f"\nUSD a day for models, {users:,} users; each row includes the reductions above it")
    print(f"{'dormant users':42}" + "".join(f"{gone:>12.0%}" for gone, _ in SCENARIOS))
    print(f"{'thinking tokens':42}" + "".join(f"{thinking:>12.0f}" for _, thinking in SCENARIOS))
    for title, usd in found.items():
        print(f"{title:42}" + "".join(f"{each:>12,.0f}" for each in usd))
    shares = [last / first for first, last in zip(found["before"], list(found.values())[-1], strict=True)]
    print(f"{'share of before':42}" + "".join(f"{share:>12.0%}" for share in shares))


def main() -> int:
    """Print and save the tables. Return the exit code: 1 if there are no measurements yet."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.cost",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for one in fields(Assumed):
        name = f"--{one.name.replace('_', '-')}"
        parser.add_argument(name, type=float, default=one.default, help="assumed", metavar="N")
    assumed = Assumed(**vars(parser.parse_args()))
    try:
        measured = json.loads((RESULTS / "throughput.json").read_text())
    except FileNotFoundError:
        print("there are no measurements: run 'python -m bench.throughput'", file=sys.stderr)
        return 1
    costs = [cost(assumed, measured, users) for users in USERS]
    print(f"{'USD a day':26}" + "".join(f"{users:>14,} users" for users in USERS))
    for name in costs[0]:
        print(f"{name:26}" + "".join(f"{one[name]:>20,.3f}" for one in costs))
    totals = [sum(one.values()) for one in costs]
    aws = [sum(usd for name, usd in one.items() if not name.startswith("model")) for one in costs]
    for title, row in (
        ("all", totals),
        ("without the model", aws),
        ("all, per user and month", [DAYS_OF_MONTH * t / n for t, n in zip(totals, USERS, strict=True)]),
    ):
        print(f"{title:26}" + "".join(f"{usd:>20,.4f}" for usd in row))
    levers = by_lever(assumed, measured, USERS[-1])
    print_levers(levers, USERS[-1])
    print(f"\nMeasured: bench/results/throughput.json. Assumed: {assumed}")
    write_json(
        "cost",
        {
            "assumed": vars(assumed),
            "usd_a_day": {str(n): one for n, one in zip(USERS, costs, strict=True)},
            "scenarios": [{"gone": gone, "thinking": thinking} for gone, thinking in SCENARIOS],
            "models_by_lever": levers,
        },
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
