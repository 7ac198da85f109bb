"""Operate the bundle by HTTP: Mojodex's own routes, the jobs API, and the console."""
