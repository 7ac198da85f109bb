"""Simulation: run the real handlers on a real Postgres, in one process and in virtual time, from a seed.

The modules, from the ground up:

    kernel, executor     virtual time: greenlets replace threads, and one runs at a time
    deployment           `template.yaml` as plain data: functions, queues, schedules and their settings
    sqs                  a model of SQS, without a clock or randomness of its own
    faults               which services are broken now, and which calls will fail
    outside              a call from a function to a service: latency, kill, fault, effect
    postgres             pg8000 connections that can break, on a server with a virtual clock
    aws, provider, sites the services: SQS, Secrets Manager, SES, the model, websites
    feedback             SES's events about the mails it took
    functions, lambdas   handlers; execution environments, invocations, event source mappings, schedules
    environments         the memory of a module, one copy for each execution environment
    patches              puts all of this under the bundle's modules
    plan, backend        the work and the faults of a seed; Mojodex's backend and its users
    world                runs one plan
    checks               the promises that must hold after a run
    conduct, recovery    promises about behaviour during a run, and about the time after an outage
    promise              each outage beside an undisturbed run
    shrink, report       the shortest plan that still fails; the history of a job
    defects, hunt        known defects, put back on purpose; how many seeds find each one
    fairness             a hundred users beside one user's thousand pages

Not simulated: waiting for a row lock (a transaction is atomic in virtual time), CPU time, and the answers of
a real model.
"""

import sys
from pathlib import Path

# The import paths of the tests and of a built function.
sys.path[:0] = [str(Path(__file__).parent.parent / folder) for folder in ("functions", "shared")]
