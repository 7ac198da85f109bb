"""Serve the demo's website alone: `python -m local.demo.site --port 8080`."""

import argparse
import contextlib

from local.demo.site import Site


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m local.demo.site", description="The demo's made-up website."
    )
    parser.add_argument("--port", type=int, default=0, help="0 (default) for a free one")
    with Site(parser.parse_args().port) as site, contextlib.suppress(KeyboardInterrupt):
        print(site.url, flush=True)
        site.wait()


if __name__ == "__main__":
    main()
