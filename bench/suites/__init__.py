"""Test suites of other projects, run through our code. Their data is not in this repository.

Options of `python -m bench.suites`:

- `--robotstxt`: repository google/robotstxt, for `robots_test.cc`.
- `--wpt`: folder `url/resources` of repository web-platform-tests/wpt, which is huge; repository ada-url/ada
  also has `urltestdata.json` and `toascii.json`, in `tests/wpt`.
- `--ssrf`, several times: a folder of text and Python with addresses of internal hosts. Folder
  `Server Side Request Forgery` of swisskyrepo/PayloadsAllTheThings; cujanovic/SSRF-Testing, where
  `python ip.py 169.254.169.254 80 www.google.com export` writes a list; the tests about SSRF of
  unclecode/crawl4ai (`deploy/docker/tests`) and of onyx-dot-app/onyx (`backend/tests/unit`).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

AS_EXPECTED = "as expected"


@dataclass(frozen=True)
class Result:
    """The result of one case.

    Attributes:
        case: the case in short.
        outcome: `AS_EXPECTED`, or a class of difference. Outcomes are keys of the result file.
        lost: whether it is worse than the suite demands.
    """

    case: str
    outcome: str = AS_EXPECTED
    lost: bool = False


def counted(results: Iterable[Result]) -> dict[str, int]:
    """Count results by outcome, most frequent first."""
    return dict(Counter(result.outcome for result in results).most_common())
