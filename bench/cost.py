"""`python -m bench.cost`: what a day of the bundle costs, in USD, for 1,000, 100,000 and 10,000,000 users.

Measured, from `bench/results/throughput.json`: GB-seconds, prompt tokens, calls of the model and bytes of
logs of a job. All else is assumed: prices (as published for us-east-1 in 2026, without free tiers), what a
user does in a day, how long the model takes and thinks, and what a page of a website costs. Each of these is
an option. The database is not in it: it is Mojodex's own.

A second table has what the models cost before, and after each lever, for the most users: with all of them
there and with some gone, and with other amounts of thinking, since no model was asked here.
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
# A batch is received, run and deleted at once, and messages are sent ten at a time.
BATCH = 10
# SendMessageBatch, ReceiveMessage, DeleteMessageBatch.
SQS_REQUESTS_A_BATCH = 3
# SES tells of each that it was sent, and what became of it.
EVENTS_A_MAIL = 2
# At which latency of the model the bench measures GB-seconds.
MEASURED_LATENCY = 0.3
# What was changed since fe31edc, in this order, and whether the template's defaults have it.
LEVERS = {
    "fences": ("fences round foreign text, with a nonce", True),
    "effort": ("reasoning effort low or minimal", True),
    "gone": ("no model for users who are gone", True),
    "flex": ("LlmServiceTier=flex", False),
}
BY_DEFAULT = [name for name, (_, is_default) in LEVERS.items() if is_default]
# Tokens of a prompt at fe31edc, its schema included, as bench.throughput measured them there.
TOKENS_BEFORE = {"extract_todos": 1747, "reschedule_todo": 1029, "events": 614}
PAGE = "page"
# What each prompt's header asks for.
EFFORT = {"extract_todos": "low", "reschedule_todo": "low", "events": "minimal", PAGE: "minimal"}
# Tokens of the right answers to the labelled cases (evals), on average; of a page, nine verdicts.
ANSWERS = {"extract_todos": 66, "reschedule_todo": 42, "events": 116, PAGE: 101}
# Users who are gone (of all), and tokens of thinking, of the table of levers.
SCENARIOS = ((0.0, 220.0), (0.6, 220.0), (0.0, 1000.0), (0.6, 1000.0), (0.0, 0.0), (0.6, 0.0))


@dataclass(frozen=True)
class Assumed:
    """What is not measured; names are the options'. Prices are USD."""

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
    # openai.com/api/pricing: gpt-5-mini, text-embedding-ada-002. No prompt of ours has the 1,024 tokens in
    # common that are cached: 164 to 346 (relevance, extract_todos).
    prompt_million_tokens: float = 0.25
    completion_million_tokens: float = 2.00
    embedding_million_tokens: float = 0.10
    # Share of the price, and of the calls that are not late for it.
    flex_price: float = 0.5
    flex_share: float = 0.95
    # Of all users, those without a sign of life for DormantAfterDays. They have moves and mails, and no more.
    gone: float = 0
    # Of one user in one day; a mail on five days of seven.
    tasks: float = 2
    moves: float = 0.5
    mails: float = 5 / 7
    websites: float = 0.01
    # Seconds of one answer, and its tokens of thinking where nothing is asked (medium effort); the share of
    # these at another effort. With 220, an answer has the 300 tokens of this bench's earlier tables.
    latency: float = 3
    thinking: float = 220
    low: float = 0.33
    minimal: float = 0
    # Of one website.
    pages: float = 100
    # Of one page: see bench.website for its calls.
    page_gb_seconds: float = 0.6
    page_prompt_tokens_before: float = 2_500
    # With the same growth as a prompt with nine chunks.
    page_prompt_tokens: float = 2_700
    page_embedding_tokens: float = 2_000
    # Bytes through a NAT gateway: of one call of the model, and of one page with its own calls.
    call_bytes: float = 20_000
    page_bytes: float = 250_000
    # Of the whole bundle: one schedule every five minutes, two every ten, two every hour and one a day, each
    # 512 MB for a second; and seven queues, each asked by five pollers every 20 s (Lambda's long polling).
    schedule_runs: float = 288 + 2 * 144 + 2 * 24 + 1
    schedule_gb_seconds: float = 0.5
    # Half a GB for a fifth of a second: ten events in one transaction.
    feedback_gb_seconds: float = 0.1
    empty_receives: float = 7 * 5 * 86_400 / 20
    # A metric is a name with one value of each of its dimensions: at most so many, when every process has
    # had every outcome, and one model is asked. Alarms, keys and dashboards are the template's.
    metrics: float = 120
    alarms: float = 65
    keys: float = 1
    dashboards: float = 1
    # None outside of a VPC, or with one that is there anyway.
    nat_gateways: float = 0


def cost(
    assumed: Assumed, measured: dict[str, Any], users: int, levers: Collection[str] = BY_DEFAULT
) -> dict[str, float]:
    """USD of one day, by what is paid for."""
    loads = {row["process"]: row for row in measured["loads"] if row["latency"] == "0.3 s"}
    here = users * (1 - assumed.gone)
    served = here if "gone" in levers else users
    asking = {
        "extract_todos": here * assumed.tasks,
        "reschedule_todo": served * assumed.moves,
        "events": served * assumed.mails,
    }
    # To-dos of the others are moved once a week, by a rule.
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
    # The model's time is shared by a batch; 1 GB is what each worker has.
    waiting = (assumed.latency - MEASURED_LATENCY) / BATCH
    own = sum(n * measured["gb_seconds_per_1000"][name] / 1000 for name, n in jobs.items())
    gb_seconds = (
        own
        + waiting * sum(calls[name] for name in jobs)
        + pages * assumed.page_gb_seconds
        + assumed.schedule_runs * assumed.schedule_gb_seconds
    )
    # EventBridge sends SES's events one by one.
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
    """USD of one day that models cost, before and after each lever, for each scenario."""
    found: dict[str, list[float]] = {}
    for n, title in enumerate(["before", *(title for title, _ in LEVERS.values())]):
        found[title] = []
        for gone, thinking in SCENARIOS:
            scenario = replace(assumed, gone=gone, thinking=thinking)
            row = cost(scenario, measured, users, list(LEVERS)[:n])
            found[title].append(sum(usd for name, usd in row.items() if name.startswith("model")))
    return found


def print_levers(found: dict[str, list[float]], users: int) -> None:
    """Print the table of levers, with the share that is left."""
    print(f"\nUSD a day for models, {users:,} users, each row with those before it")
    print(f"{'users gone':42}" + "".join(f"{gone:>12.0%}" for gone, _ in SCENARIOS))
    print(f"{'thinking, tokens':42}" + "".join(f"{thinking:>12.0f}" for _, thinking in SCENARIOS))
    for title, usd in found.items():
        print(f"{title:42}" + "".join(f"{each:>12,.0f}" for each in usd))
    shares = [last / first for first, last in zip(found["before"], list(found.values())[-1], strict=True)]
    print(f"{'of before':42}" + "".join(f"{share:>12.0%}" for share in shares))


def main() -> int:
    """Print the table and write it down; returns the exit code, 1 when nothing was measured yet."""
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
        print("nothing is measured: run 'python -m bench.throughput'", file=sys.stderr)
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
        ("all, a user and month", [DAYS_OF_MONTH * t / n for t, n in zip(totals, USERS, strict=True)]),
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
