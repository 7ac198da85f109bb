"""The Lambda layer: what two or more processes of Mojodex Background use."""
