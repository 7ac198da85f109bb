"""Write the rendered prompts of the demo to files."""

from local.demo.stage import Stage
from local.runtime.stack import ROOT

DIRECTORY = ROOT / ".local" / "demo" / "prompts"


def show(stage: Stage) -> list[str]:
    """Write one prompt of each kind to a file. There is no problem to return."""
    if stage.offline:
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        for schema, prompt in stage.stack.prompts().items():
            (DIRECTORY / f"{schema}.txt").write_text(prompt)
        print(f"\n  The prompts that the model got, one of each kind: {DIRECTORY.relative_to(ROOT)}")
    return []
