"""mail_feedback: record SES's feedback about sent mails."""
