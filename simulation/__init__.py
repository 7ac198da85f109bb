"""Simulation: the real handlers on a real Postgres, in one process, in virtual time, decided by a seed.

How the parts fit together, from the ground:

    kernel, executor     virtual time: greenlets take the place of threads, one runs at a time
    deployment           `template.yaml` as plain data: functions, queues, schedules, and their figures
    sqs                  the rules of SQS, as a model without time or chance of its own
    faults               what is broken at this moment, and which call dies
    outside              one call to the outside: latency, kill, fault, effect
    postgres             pg8000 connections that can break, on a server whose clock is virtual
    aws, provider, sites what the functions call: SQS, Secrets Manager, SES, the model, websites
    functions, lambdas   execution environments, invocations, event source mappings, schedules
    patches              puts all of this under the bundle's modules
    plan, backend        the work and the faults of a seed; Mojodex and its users
    world                one run: a plan goes in, what was found comes out
    checks               what must be true afterwards
    conduct, recovery    what was paid, asked and published on the way; what was done in time after an outage
    promise              outages against an undisturbed run
    shrink, report       the shortest plan that fails; the history of a job
    defects, hunt        defects that are put back on purpose, and how many seeds find them
    fairness             one user's thousand pages beside a hundred users

What is not simulated: waiting for a row lock (a transaction is atomic in virtual time), time that code takes
by itself, and the answers of a real model.
"""

import sys
from pathlib import Path

# As the tests and a built function see them.
sys.path[:0] = [str(Path(__file__).parent.parent / folder) for folder in ("functions", "shared")]
