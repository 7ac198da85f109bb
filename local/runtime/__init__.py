"""The deployed bundle on this machine: an emulator of AWS, an embedded Postgres, and `sam deploy`."""
