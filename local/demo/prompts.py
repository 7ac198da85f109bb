"""The prompts of the demo, filled in, as files."""

from local.demo.stage import Stage
from local.runtime.stack import ROOT

DIRECTORY = ROOT / ".local" / "demo" / "prompts"


def show(stage: Stage) -> list[str]:
    """Write one prompt of each kind to a file; nothing can be not as expected."""
    if stage.offline:
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        for schema, prompt in stage.stack.prompts().items():
            (DIRECTORY / f"{schema}.txt").write_text(prompt)
        print(f"\n  What the model was asked, one prompt of each kind: {DIRECTORY.relative_to(ROOT)}")
    return []
