"""mail_feedback: what SES tells of the mails that were sent."""
