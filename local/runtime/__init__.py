"""Run the deployed bundle on this machine, with an emulator of AWS and an embedded Postgres."""
