"""Start MiniStack with archives that are unpacked once. This program runs in MiniStack's environment.

At each cold start, MiniStack unpacks the layer's 6,600 files again, which takes seconds of processor time.
Lambda does not do that, so here an archive is unpacked once and linked into each function's folder.
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
        """Replace `path`, an empty folder, by a link to the unpacked archive."""
        members = [(member.filename, member.CRC, member.file_size) for member in self.infolist()]
        unpacked = UNPACKED / sha256(repr(members).encode()).hexdigest()
        with _unpacking:
            if not unpacked.exists():
                partial = unpacked.with_suffix(".partial")
                super().extractall(partial)
                partial.rename(unpacked)
        Path(path).rmdir()
        Path(path).symlink_to(unpacked)


# Only for this module: MiniStack also unpacks other archives.
# The module also names an exception that zipfile does not have, which hides the real error.
lambda_runtime.zipfile = SimpleNamespace(
    **{**vars(zipfile), "ZipFile": SharedZipFile, "LargeFileError": zipfile.LargeZipFile}
)
# MiniStack checks every ten seconds for due schedules. EventBridge Scheduler is more punctual.
scheduler._SCHEDULE_TICK_INTERVAL = 1
_invoke = lambda_runtime.Worker.invoke


def invoke(worker: lambda_runtime.Worker, *args: Any, **named: Any) -> dict[str, Any]:
    """Invoke a function. If its worker dies at its start, only this invocation fails.

    MiniStack would end all workers of the function. Others would then die at their start, and so on for ever.
    """
    try:
        answer: dict[str, Any] = _invoke(worker, *args, **named)
    except (RuntimeError, OSError) as error:
        lambda_runtime.logger.error("%s does not start: %s", worker.func_name, error)
        return {"status": "error", "error": str(error)}
    return answer


lambda_runtime.Worker.invoke = invoke
sys.exit(main())
