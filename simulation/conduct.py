"""How the bundle behaved on the way: what it paid for, asked, published and retried, and when.

Each check is a function of a run, and yields what should not have happened.
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

# A lease lasts 150 seconds at least (template.yaml), and two clocks differ by a minute at most.
SOONEST_TAKEOVER = 85
# Words of a mail are about its to-dos. After a while these may be others.
SAME_WORDS_SECONDS = 60
# After an outage has hit so many requests within a minute, the circuit must be open ten seconds later. Then
# the provider gets at most one a second (issue 13), counted over ten seconds.
HITS, OPENS_WITHIN, WINDOW_SECONDS, ASKED_A_SECOND = 25, 10, 10, 1
MINUTE = 60
# The delays of a message that fails (`queues.back_off_seconds`) allow five receives in the first minute; two
# more are copies.
RECEIVES_A_MINUTE = 7
# A message that was received so long ago waits for its next try: nobody works on it (template.yaml, Timeout).
WAITS_SECONDS = 310
# It finds no work: it returns dead letters, of which the ledger knows only that they are gone.
REDRIVE = "RedriveScheduleFunction"
FEEDBACK_QUEUE = "MailFeedbackQueue"


def broken(run: Run) -> list[str]:
    """Return what should not have happened, each with its check."""
    return [f"{check.__name__}: {what}" for check in CHECKS for what in check(run)]


def paid_once(run: Run) -> Iterator[str]:
    """The model is paid again for the same thing only if the first answer could not be kept.

    What was embedded is not kept (`documents.thinking`).
    """
    before: dict[str, Payment] = {}
    for payment in run.provider.payments:
        first = before.get(payment.subject)
        if payment.service == "model" and first and not _lost(run, first, payment):
            yield f"{payment.subject}: paid again by {payment.worker}, although {first.worker} had the answer"
        before[payment.subject] = payment


def _lost(run: Run, first: Payment, again: Payment) -> bool:
    """Tell whether nobody could keep the first answer, or nobody could know of it."""
    ending = run.lambdas.endings.get(first.worker)
    if not first.received or ending is None or ending.kind == "died" or first.worker == again.worker:
        return True
    is_other_mail = again.subject.startswith("events ") and again.at - first.at > SAME_WORDS_SECONDS
    taken_over = ending.ended > again.at >= ending.began + SOONEST_TAKEOVER
    # The other way round: the second worker pays, before it learns that its lease has expired.
    later = run.lambdas.endings.get(again.worker)
    taken_over |= later is None or first.at >= later.began + SOONEST_TAKEOVER
    return is_other_mail or taken_over or _is_away(run, ending.ended, "postgres", "secrets")


def _is_away(run: Run, moment: float, *services: str) -> bool:
    """Tell whether a service was away at a moment (seconds since 1970), or until a second before it."""
    return any(
        fault.kind in ("outage", "restart")
        and fault.target in services
        and at <= moment <= at + fault.seconds + 1
        for at, fault in run.faults.strikes
    )


def asked_gently(run: Run) -> Iterator[str]:
    """A provider that is away is asked at most once a second, once it is known to be away.

    That a call takes too long is known only afterwards, so outages that let calls hang are left out.
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
                yield f"{fault.target}: asked {window} times in {WINDOW_SECONDS} s while it was away"
                break


def outages(run: Run) -> list[tuple[float, Fault]]:
    """Return the outages that were on, each with when it began (seconds since 1970)."""
    return [(at, fault) for at, fault in run.faults.strikes if fault.kind == "outage"]


def batches_never_fail(run: Run) -> Iterator[str]:
    """A worker answers for each record by itself: one bad record does not make its batch fail."""
    workers = {function.name for function in run.lambdas.functions if function.source}
    for name, ending in run.lambdas.endings.items():
        if ending.function in workers and ending.kind == "raised":
            yield f"{name}: the batch failed as a whole"


def retried_with_pauses(run: Run) -> Iterator[str]:
    """No message is retried at once, again and again."""
    for message_id, moments in run.lambdas.received.items():
        most = max(bisect_left(moments, at + MINUTE) - number for number, at in enumerate(moments))
        if most > RECEIVES_A_MINUTE:
            yield f"{message_id}: received {most} times within a minute"


def not_published_again(run: Run) -> Iterator[str]:
    """No schedule publishes a job while a schedule's message of it may still be delivered."""
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
    """Tell whether the ledger must know that a message will be delivered again.

    It need not if the claim was rolled back, or if a worker has skipped the job and the message may be gone.
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
    """Tell whether a worker may have died with a message, after it has skipped its job."""
    received = message.received_at
    return any(
        each.kind == "died" and each.began < received + WAITS_SECONDS and received <= each.ended <= now
        for each in run.lambdas.endings.values()
    )


def grouped(run: Run) -> Iterator[str]:
    """Every message that the bundle sends carries its user as MessageGroupId; refreshes share a group."""
    users = {FIRST_KEY + w.number: run.plan.users[w.user] for w in run.plan.work if w.kind == "execution"}
    for queue, body, group in run.services.sqs.sent:
        if body in run.asked.bad or queue == FEEDBACK_QUEUE:
            # The backend gave it another group, which it keeps. EventBridge gives an event of SES none.
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
