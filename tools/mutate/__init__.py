"""Mutation tests: change code that must lose and double nothing, and expect a test to fail.

`targets` lists the modules and their tests, `python_mutants` and `sql_mutants` make the changes, and `runner`
runs the tests. `survivors.toml` explains the mutants that no test can kill.

This is our own code, because mutmut 3.8 only changes function bodies, and cosmic-ray 8.7 restarts the tests
for each mutant and does not change SQL.
"""
