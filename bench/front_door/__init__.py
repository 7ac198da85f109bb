"""Compare our HTTP API with Mojodex's own Background, whose code is not in this repository.

`python -m bench.front_door --mojodex DIR` takes a checkout of repository hoomano/mojodex, at commit 4a6b447:

1. It installs that code's libraries once, and starts its Background with an embedded Postgres.
2. It sends the requests of `calls.py`, each to the same rows (`fixture.py`), and prints the answers.
3. It runs the code of Mojodex's backend and scheduler that calls a Background (`callers.py`).

`--write` writes the answers to tests/mojodex_calls.json, for tests that have no checkout.
`--url http://NAME:SECRET@HOST` repeats 2 and 3 with our API, on the database of `--database-url`.
The bench replaces all rows of that database repeatedly. It refuses a database with other users.
"""
