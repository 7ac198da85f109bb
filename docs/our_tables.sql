-- The functions' rights on our own tables, if another user than theirs migrates. After each migration:
--   psql --set ON_ERROR_STOP=1 --file docs/our_tables.sql

GRANT SELECT, INSERT, UPDATE ON
    md_background_job, md_background_page, md_background_document, md_background_website, md_background_host_slot,
    md_background_circuit, md_background_spending, md_background_pause, md_background_mail, md_background_mail_block,
    md_background_mail_token, md_background_paused_process, md_background_schedule_run, md_background_audit,
    md_background_refusal, md_background_migration
    TO mojodex_background;
GRANT DELETE ON
    md_background_job, md_background_page, md_background_circuit, md_background_mail, md_background_mail_block,
    md_background_paused_process, md_background_audit, md_background_refusal
    TO mojodex_background;
