"""The e-mail channel: a mail as bytes, SES, and the delivery that sends it at most once."""
