"""The metrics that a function has printed in CloudWatch's embedded metric format."""

import json
from collections import Counter


def emitted(printed: str) -> Counter[tuple[str, str]]:
    """Sum the printed metrics by service and name."""
    sums: Counter[tuple[str, str]] = Counter()
    for line in printed.splitlines():
        if "CloudWatchMetrics" not in line:
            continue
        entry = json.loads(line)
        for directive in entry["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                values = entry[metric["Name"]]
                sums[entry["service"], metric["Name"]] += int(sum(values))
    return sums
