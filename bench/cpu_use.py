"""Who used how much processor: the functions, the emulator of AWS, PostgreSQL, the bench, all others."""

from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
from sqlalchemy import Engine, text

from bench.database import BenchError
from local.runtime.stack import Stack

# Whoever else uses the machine, who makes it slower.
OTHERS = "all others on this machine"
EMULATOR, POSTGRES = "emulator of AWS", "PostgreSQL"


def processor_seconds(stack: Stack, engine: Engine, ours: Mapping[str, psutil.Process]) -> Counter[str]:
    """Seconds of processor used so far, by whom; a function is called by its process.

    Args:
        stack: the running stack.
        engine: of its database.
        ours: processes of the bench, by name.

    Raises:
        BenchError: the emulator is gone.
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
    # Of connections that are closed, too.
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
    raise BenchError("the emulator of AWS is gone")
