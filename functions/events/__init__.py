"""events: what Mojodex tells a user by itself, once a day: the daily to-do e-mail."""
