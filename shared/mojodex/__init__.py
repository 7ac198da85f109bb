"""The Lambda layer: code that two or more processes of Mojodex Background use."""
