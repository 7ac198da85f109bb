"""Starts MiniStack so that the functions of one archive share what it holds. Runs in MiniStack's environment.

For each cold start MiniStack unpacks the layer, 6,600 files, anew: seconds of a processor each time. Lambda
does not do that, so here an archive is unpacked once and linked into each function's folder.
"""

import os
import sys
import zipfile
from hashlib import sha256
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

from ministack.app import main
from ministack.core import lambda_runtime
from ministack.services import scheduler

UNPACKED = Path(os.environ["STATE_DIR"]).parent / "unpacked"
_unpacking = Lock()


class SharedZipFile(zipfile.ZipFile):
    """An archive whose members are unpacked once, and then linked to."""

    def extractall(self, path: str) -> None:  # type: ignore[override]
        """Make `path`, an empty folder, a link to what the archive holds."""
        members = [(member.filename, member.CRC, member.file_size) for member in self.infolist()]
        unpacked = UNPACKED / sha256(repr(members).encode()).hexdigest()
        with _unpacking:
            if not unpacked.exists():
                half = unpacked.with_suffix(".half")
                super().extractall(half)
                half.rename(unpacked)
        Path(path).rmdir()
        Path(path).symlink_to(unpacked)


# Of this module only: what else MiniStack unpacks is its own affair.
# It also asks for an exception that zipfile does not have, which hides what went wrong.
lambda_runtime.zipfile = SimpleNamespace(
    **{**vars(zipfile), "ZipFile": SharedZipFile, "LargeFileError": zipfile.LargeZipFile}
)
# It looks every ten seconds whether a schedule is due; EventBridge Scheduler is not so late.
scheduler._SCHEDULE_TICK_INTERVAL = 1
_invoke = lambda_runtime.Worker.invoke


def invoke(worker: lambda_runtime.Worker, *args: Any, **named: Any) -> dict[str, Any]:
    """An invocation whose worker dies while it starts fails alone.

    MiniStack ends all workers of the function then: those that are starting die as well, and so on for ever.
    """
    try:
        answer: dict[str, Any] = _invoke(worker, *args, **named)
    except (RuntimeError, OSError) as error:
        lambda_runtime.logger.error("%s does not start: %s", worker.func_name, error)
        return {"status": "error", "error": str(error)}
    return answer


lambda_runtime.Worker.invoke = invoke
sys.exit(main())
