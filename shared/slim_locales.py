"""Leave out of babel's locales what no date needs; used by the Makefile: `slim_locales.py FOLDER`.

What mails need is a tenth: names of languages, countries, currencies, units and time zones are most of the
rest. A locale that is smaller is also read faster.
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
    # As babel writes them.
    path.write_bytes(pickle.dumps({name: locale[name] for name in locale if name not in UNUSED}, 2))
