-- The user of the functions, with the rights that they need and no more. As an administrator of the database:
--   psql --set ON_ERROR_STOP=1 --set password=… --file docs/database_user.sql
-- For a later version that needs more rights, run all lines but the first again.

CREATE ROLE mojodex_background LOGIN PASSWORD :'password';
GRANT USAGE ON SCHEMA public TO mojodex_background;
GRANT SELECT (user_id, email, name, language_code, timezone_offset, goal, company_description, todo_email_reception,
    creation_date) ON md_user TO mojodex_background;
GRANT SELECT ON md_session, md_task, md_user_task, md_user_task_execution, md_message, md_produced_text,
    md_produced_text_version, md_todo, md_todo_scheduling TO mojodex_background;
GRANT UPDATE (todos_extracted) ON md_user_task_execution TO mojodex_background;
-- For our unsubscribe page:
GRANT UPDATE (todo_email_reception) ON md_user TO mojodex_background;
-- To lock a row. Nothing writes this column:
GRANT UPDATE (deletion_justification) ON md_todo TO mojodex_background;
GRANT INSERT ON md_todo, md_todo_scheduling, md_event, md_error, md_document, md_document_chunk TO mojodex_background;
GRANT SELECT (event_pk) ON md_event TO mojodex_background;
GRANT SELECT (error_pk) ON md_error TO mojodex_background;
GRANT SELECT, UPDATE (deleted_by_user, last_update_date) ON md_document TO mojodex_background;
GRANT SELECT (document_chunk_pk, document_fk, index, chunk_text, deleted), UPDATE (index, deleted), DELETE
    ON md_document_chunk TO mojodex_background;
GRANT USAGE ON SEQUENCE md_todo_seq, md_event_seq, md_error_seq, md_document_seq, md_document_chunk_seq TO mojodex_background;
