"""Does our HTTP API answer Mojodex as Mojodex's own Background does? Its code is not in this repository.

`python -m bench.front_door --mojodex DIR` takes a checkout of repository hoomano/mojodex, at commit 4a6b447:

1. It installs the libraries of that code, once, and starts its Background beside an embedded Postgres.
2. It sends the requests of `calls.py`, each to the same rows (`fixture.py`), and prints the answers.
3. It runs the code of Mojodex's backend and scheduler that calls a Background (`callers.py`).

`--write` writes the answers to tests/mojodex_calls.json, for tests that cannot have the checkout.
`--url http://NAME:SECRET@HOST` does 2 and 3 with ours, too, on the database of `--database-url`.
All rows of that database are replaced, again and again. A database with other users is refused.
"""
