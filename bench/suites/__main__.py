"""`python -m bench.suites`: test suites of other projects, run through our code; see `bench.suites`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bench.suites
from bench.results import write_json
from bench.suites import Result, counted, robotstxt, ssrf, wpt


def main() -> int:
    """Run the given suites, print scores and losses. Return 1 if something dangerous was found."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.suites",
        description=bench.suites.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--robotstxt", type=Path, metavar="DIR")
    parser.add_argument("--wpt", type=Path, metavar="DIR_OR_FILE")
    parser.add_argument("--ssrf", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--write", action="store_true", help="write bench/results/suites.json")
    arguments = parser.parse_args()
    results: list[Result] = []
    written: dict[str, Any] = {}

    def add(name: str, found: Sequence[Result], **more: int) -> None:
        results.extend(found)
        written[name] = more | {"cases": len(found)} | counted(found)
        _print(name, found, more)

    if arguments.robotstxt:
        found, unknown = robotstxt.run(arguments.robotstxt)
        add("google/robotstxt", found, not_understood=unknown)
    if arguments.wpt:
        add("web-platform-tests, URLs", wpt.run(arguments.wpt))
    for folder in arguments.ssrf:
        add(f"SSRF, {folder.name}", ssrf.run(folder))
    if not results:
        parser.error("name at least one suite")
    if arguments.write:
        write_json("suites", written)
    return int(any(result.outcome.startswith("dangerous") for result in results))


def _print(name: str, results: Sequence[Result], more: dict[str, int]) -> None:
    notes = "".join(f", {count} {what.replace('_', ' ')}" for what, count in more.items())
    print(f"{name}: {len(results)} cases{notes}, {sum(result.lost for result in results)} lost")
    for outcome, count in counted(results).items():
        print(f"  {count:>5}  {outcome}")
    for result in results:
        if result.lost:
            print(f"         {result.outcome} | {result.case[:200]}")
    if hosts := sorted({result.case for result in results if result.outcome == ssrf.PUBLIC_HOST}):
        print(f"         {ssrf.PUBLIC_HOST}: {', '.join(hosts)}")


if __name__ == "__main__":
    sys.exit(main())
