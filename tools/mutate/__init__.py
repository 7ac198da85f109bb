"""Mutation tests: change the code that decides about losing and doubling, and expect a test to fail.

`targets` says what is changed and which tests are run; `python_mutants` and `sql_mutants` make the changes;
`runner` runs the tests; `survivors.toml` explains what no test can kill.

Own code, because mutmut 3.8 changes function bodies only, and cosmic-ray 8.7 starts the tests again for each
mutant and leaves SQL alone.
"""
