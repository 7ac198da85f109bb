"""`python -m bench.size`: print the unpacked size of the functions on AWS, from `make build` (arm64).

A function consists of its own folder and the layer. Lambda's limit for both together is 250 MB.
"""

import argparse
import sys
from pathlib import Path

from bench import ROOT

BUILD_DIRECTORY = ROOT / ".aws-sam" / "build"
LAYER = "MojodexLayer"
# Megabytes (10**6 bytes) for the layer and all functions together.
BAR = 125
LARGEST = 12


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def main() -> int:
    """Print the sizes. Return 1 if they exceed the bar."""
    parser = argparse.ArgumentParser(prog="python -m bench.size", description=__doc__)
    parser.add_argument(
        "--build", type=Path, default=BUILD_DIRECTORY, help="the folder that sam built (%(default)s)"
    )
    build: Path = parser.parse_args().build
    layer = build / LAYER
    if not layer.exists():
        print(f"{layer} is missing: run 'make build'", file=sys.stderr)
        return 1
    stamps = ", ".join(sorted(path.name.lstrip(".") for path in build.glob(".*") if path.is_file()))
    print(f"Unpacked, in MB, {stamps or 'architecture unknown'}\n")
    parts = {path.name: size(path) for path in sorted(build.iterdir()) if path.is_dir()}
    total = sum(parts.values())
    for name, bytes_ in parts.items():
        print(f"  {name:32}{bytes_ / 1e6:8.2f}")
    print(f"  {'layer and all functions':32}{total / 1e6:8.2f}   bar {BAR}\n")

    packages = sorted(((size(path), path.name) for path in (layer / "python").iterdir()), reverse=True)
    print(f"The largest of {len(packages)} packages of the layer\n")
    for bytes_, name in packages[:LARGEST]:
        print(f"  {name:32}{bytes_ / 1e6:8.2f}")
    bytecode = sum(path.stat().st_size for path in build.rglob("*.pyc"))
    print(f"\nCompiled bytecode in the total: {bytecode / 1e6:.2f}")
    print(f"\n{'ok  ' if total <= BAR * 1e6 else 'FAIL'}  {total / 1e6:.1f} MB, bar {BAR} MB")
    return 0 if total <= BAR * 1e6 else 1


if __name__ == "__main__":
    sys.exit(main())
