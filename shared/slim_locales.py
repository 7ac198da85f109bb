"""Remove from babel's locales the data that no date needs. The Makefile runs `slim_locales.py FOLDER`.

A tenth remains. Most of the rest is names of languages, countries, currencies, units and time zones. A
smaller locale is also read faster.
"""

import pickle
import sys
from pathlib import Path

UNUSED = {
    *("compact_currency_formats", "compact_decimal_formats", "compound_unit_patterns", "currency_names"),
    *("currency_names_plural", "date_fields", "interval_formats", "languages", "meta_zones", "scripts"),
    *("territories", "time_zones", "unit_display_names", "unit_patterns", "variants"),
}

for path in Path(sys.argv[1]).glob("*.dat"):
    locale = pickle.loads(path.read_bytes())
    # In babel's own pickle protocol.
    path.write_bytes(pickle.dumps({name: locale[name] for name in locale if name not in UNUSED}, 2))
