"""What the processes of Mojodex Background have in common: the Lambda layer."""
