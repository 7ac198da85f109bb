-- Erase what the bundle holds about one user, as the owner of the tables, before Mojodex's own rows:
--   psql --single-transaction --set ON_ERROR_STOP=1 --set user_id=… --file docs/erase_user.sql

-- Every job of this release.
DELETE FROM md_background_job WHERE user_id = :'user_id';

-- Jobs of earlier releases, whose user_id is NULL.
DELETE FROM md_background_job AS job USING md_user_task_execution AS execution, md_user_task AS task
WHERE job.process = 'extract_todos' AND job.subject = execution.user_task_execution_pk::text
  AND task.user_task_pk = execution.user_task_fk AND task.user_id = :'user_id';
DELETE FROM md_background_job WHERE process = 'events' AND subject = 'todo_daily_emails:' || :'user_id';
DELETE FROM md_background_job WHERE process = 'create_from_website' AND starts_with(subject, :'user_id' || ' ');
DELETE FROM md_background_job AS job USING md_background_page AS page
WHERE job.process = 'ingest_page' AND job.subject = page.page_pk::text AND page.user_id = :'user_id';
DELETE FROM md_background_job AS job USING md_document AS document
WHERE job.process = 'update_document' AND job.subject = document.document_pk::text
  AND document.author_user_id = :'user_id';

-- Documents, websites and mails.
DELETE FROM md_background_document AS remembered USING md_document AS document
WHERE remembered.document_fk = document.document_pk AND document.author_user_id = :'user_id';
DELETE FROM md_background_page WHERE user_id = :'user_id';
DELETE FROM md_background_website WHERE user_id = :'user_id';
DELETE FROM md_background_mail WHERE user_id = :'user_id';
DELETE FROM md_background_mail_block WHERE user_id = :'user_id';
DELETE FROM md_background_mail_token WHERE user_id = :'user_id';
DELETE FROM md_background_pause WHERE user_id = :'user_id';
DELETE FROM md_background_audit WHERE target = :'user_id' OR details ->> 'user_id' = :'user_id';
