"""CPU time by user: the functions, the emulator of AWS, PostgreSQL, the bench, and all others."""

from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
from sqlalchemy import Engine, text

from bench.database import BenchError
from local.runtime.stack import Stack

# Everything else that runs on the machine and slows it down.
OTHERS = "all others on this machine"
EMULATOR, POSTGRES = "emulator of AWS", "PostgreSQL"


def processor_seconds(stack: Stack, engine: Engine, ours: Mapping[str, psutil.Process]) -> Counter[str]:
    """Return the CPU seconds used so far, by user; a function goes by the name of its process.

    Args:
        stack: the running stack.
        engine: connects to its database.
        ours: processes of the bench, by name.

    Raises:
        BenchError: the emulator does not run.
    """
    spent: Counter[str] = Counter()

    def add(who: str, process: psutil.Process) -> None:
        times = process.cpu_times()
        spent[who] += times.user + times.system

    for name, process in ours.items():
        add(name, process)
    with engine.begin() as connection:
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    server = psutil.Process(backend).parent()
    # Ended backends count too.
    spent[POSTGRES] += server.cpu_times().children_user + server.cpu_times().children_system
    for process in server.children():
        add(POSTGRES, process)
    emulator = _emulator(stack)
    for process in emulator.children(recursive=True):
        add(process.environ().get("POWERTOOLS_SERVICE_NAME", "other"), process)
    add(EMULATOR, emulator)
    machine = psutil.cpu_times()
    everybody = machine.user + machine.system + machine.nice
    spent[OTHERS] = everybody - spent.total()
    return spent


def _emulator(stack: Stack) -> psutil.Process:
    port = str(urlsplit(stack.endpoint).port)
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        if environment.get("GATEWAY_PORT") == port and "AWS_LAMBDA_FUNCTION_NAME" not in environment:
            return process
    raise BenchError("the emulator of AWS does not run")
