"""events: send each user the daily to-do e-mail."""
