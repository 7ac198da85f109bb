"""Promises about behaviour during a run: what the bundle paid for, asked, published and retried, and when.

Each check reads a run and yields one line for each broken promise.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator

from chaos.load import FIRST_KEY
from documents.message import REFRESH
from mojodex.queues import message_group
from simulation.aws import Copy
from simulation.faults import Fault
from simulation.provider import Payment
from simulation.sqs import StoredMessage
from simulation.world import Run

# A lease lasts at least 150 seconds (template.yaml), and two clocks differ by at most a minute.
SOONEST_TAKEOVER = 85
# A mail's wording follows its to-dos, which may have changed after this time.
SAME_WORDS_SECONDS = 60
# Once an outage has hit 25 requests within a minute, the circuit must open within ten seconds. From then on
# the provider gets at most one request a second, counted over ten seconds.
HITS, OPENS_WITHIN, WINDOW_SECONDS, ASKED_A_SECOND = 25, 10, 10, 1
MINUTE = 60
# `queues.back_off_seconds` allows five receives of a failing message in its first minute; two more may be
# copies.
RECEIVES_A_MINUTE = 7
# Longer than any function's timeout (template.yaml): nobody works on a message that was received earlier.
WAITS_SECONDS = 310
# This schedule redrives dead letters, whose jobs the ledger cannot tell from lost ones.
REDRIVE = "RedriveScheduleFunction"
FEEDBACK_QUEUE = "MailFeedbackQueue"


def broken(run: Run) -> list[str]:
    """Return every broken promise, each with the name of its check."""
    return [f"{check.__name__}: {what}" for check in CHECKS for what in check(run)]


def paid_once(run: Run) -> Iterator[str]:
    """The model is paid again for the same question only if the first answer could not be kept.

    Embeddings are exempt: nothing keeps them (`documents.thinking`).
    """
    before: dict[str, Payment] = {}
    for payment in run.provider.payments:
        first = before.get(payment.subject)
        if payment.service == "model" and first and not _lost(run, first, payment):
            yield f"{payment.subject}: paid again by {payment.worker}, although {first.worker} had the answer"
        before[payment.subject] = payment


def _lost(run: Run, first: Payment, again: Payment) -> bool:
    """Tell whether the first answer could not be kept, or the second worker could not know of it."""
    ending = run.lambdas.endings.get(first.worker)
    if not first.received or ending is None or ending.kind == "died" or first.worker == again.worker:
        return True
    is_other_mail = again.subject.startswith("events ") and again.at - first.at > SAME_WORDS_SECONDS
    taken_over = ending.ended > again.at >= ending.began + SOONEST_TAKEOVER
    # The reverse: the second worker pays before it learns that its own lease has expired.
    later = run.lambdas.endings.get(again.worker)
    taken_over |= later is None or first.at >= later.began + SOONEST_TAKEOVER
    return is_other_mail or taken_over or _is_unavailable(run, ending.ended, "postgres", "secrets")


def _is_unavailable(run: Run, moment: float, *services: str) -> bool:
    """Tell whether a service was unavailable at a moment (seconds since 1970), or until a second before."""
    return any(
        fault.kind in ("outage", "restart")
        and fault.target in services
        and at <= moment <= at + fault.seconds + 1
        for at, fault in run.faults.strikes
    )


def asked_gently(run: Run) -> Iterator[str]:
    """An unavailable provider is asked at most once a second, once its circuit is open.

    Outages of kind "timeout" are left out: a call notices those only when it ends.
    """
    for begin, fault in outages(run):
        if fault.target not in run.provider.asked_at or fault.how == "timeout":
            continue
        asked = [at for at in run.provider.asked_at[fault.target] if begin <= at < begin + fault.seconds]
        for number, at in enumerate(asked):
            opened = bisect_left(asked, at - OPENS_WITHIN)
            hits = opened - bisect_left(asked, at - OPENS_WITHIN - MINUTE)
            window = bisect_left(asked, at + WINDOW_SECONDS) - number
            if hits >= HITS and window > ASKED_A_SECOND * WINDOW_SECONDS:
                yield f"{fault.target}: asked {window} times in {WINDOW_SECONDS} s while it was unavailable"
                break


def outages(run: Run) -> list[tuple[float, Fault]]:
    """Return the outages of the run, each with the moment it began (seconds since 1970)."""
    return [(at, fault) for at, fault in run.faults.strikes if fault.kind == "outage"]


def batches_never_fail(run: Run) -> Iterator[str]:
    """A worker reports each record on its own: one bad record does not fail its batch."""
    workers = {function.name for function in run.lambdas.functions if function.source}
    for name, ending in run.lambdas.endings.items():
        if ending.function in workers and ending.kind == "raised":
            yield f"{name}: the batch failed as a whole"


def retried_with_pauses(run: Run) -> Iterator[str]:
    """Every failing message backs off before its next receive."""
    for message_id, moments in run.lambdas.received.items():
        most = max(bisect_left(moments, at + MINUTE) - number for number, at in enumerate(moments))
        if most > RECEIVES_A_MINUTE:
            yield f"{message_id}: received {most} times within a minute"


def not_published_again(run: Run) -> Iterator[str]:
    """No schedule publishes a job again while its earlier message may still be delivered."""
    finders = {function.name for function in run.lambdas.functions if function.schedule} - {REDRIVE}
    for copy in run.services.sqs.copies:
        ending = run.lambdas.endings.get(copy.message.sender)
        if copy.function not in finders or ending is None or ending.kind != "returned":
            continue
        for other in copy.others:
            if _is_alive(run, copy, other):
                seconds = f"{copy.at - other.sent:.0f} s"
                yield f"{other.body}: published by {copy.message.sender}, {seconds} after {other.id}"


def _is_alive(run: Run, copy: Copy, other: StoredMessage) -> bool:
    """Tell whether the ledger must know that an earlier message will be delivered again.

    It need not if the claim was rolled back, or if a worker skipped the job and the message may be deleted.
    """
    sender = run.lambdas.endings.get(other.sender)
    most = run.queues[copy.queue].settings.max_receive_count
    if sender is None or sender.kind != "returned" or other.sender == copy.message.sender:
        return False
    if other.id in run.lambdas.doubled or other.receives >= most:
        return False
    in_work = other.receives and copy.at - other.received_at < WAITS_SECONDS
    return not in_work and not _died_with(run, other, copy.at)


def _died_with(run: Run, message: StoredMessage, now: float) -> bool:
    """Tell whether a worker that had received the message may have died after it skipped the job."""
    received = message.received_at
    return any(
        each.kind == "died" and each.began < received + WAITS_SECONDS and received <= each.ended <= now
        for each in run.lambdas.endings.values()
    )


def grouped(run: Run) -> Iterator[str]:
    """Every message that the bundle sends carries its user as MessageGroupId. Refreshes share a group."""
    users = {FIRST_KEY + w.number: run.plan.users[w.user] for w in run.plan.work if w.kind == "execution"}
    for queue, body, group in run.services.sqs.sent:
        if body in run.asked.bad or queue == FEEDBACK_QUEUE:
            # The backend chose its group, which stays. EventBridge sets none for SES's events.
            continue
        named = json.loads(body) if body.startswith("{") else {}
        user = users.get(named.get("user_task_execution_pk", 0))
        owner = user.user_id if user else named.get("user_id")
        owner = REFRESH if named.get("refresh") else owner
        if not group or (owner and group != message_group(owner)):
            yield f"{queue} {body}: its group is {group!r}"


CHECKS: tuple[Callable[[Run], Iterator[str]], ...] = (
    paid_once,
    asked_gently,
    batches_never_fail,
    retried_with_pauses,
    not_published_again,
    grouped,
)
