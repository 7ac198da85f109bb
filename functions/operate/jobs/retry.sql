-- Queue failed jobs again, each with its message (see mojodex.republishing).
--
-- A website gets a new job with another occasion, because its pages have ended. The old job records that
-- occasion. Any other job is queued again, with no attempt counted.
--
-- Columns: process, subject, occasion of the queued jobs.
-- Parameters
--   processes, subjects, occasions  keys of the jobs
--   now, expires_at                 the present moment; when SQS deletes the messages
--   new_occasion                    for websites
-- {retryable} is from `retry.py`, {append} from `mojodex.jobs`.
WITH picked AS (
    SELECT job.*
    FROM unnest(CAST(:processes AS text[]), CAST(:subjects AS text[]), CAST(:occasions AS text[]))
        AS wanted (process, subject, occasion)
    JOIN md_background_job AS job USING (process, subject, occasion)
    WHERE {retryable}
    FOR UPDATE OF job
),
requeued AS (
    UPDATE md_background_job AS job
    SET state = 'queued',
        attempts = 0,
        queued_at = :now,
        started_at = NULL,
        finished_at = NULL,
        outcome = NULL,
        message_id = NULL,
        message_expires_at = :expires_at,
        history = {append},
        retry_message = CASE picked.process
            WHEN 'extract_todos' THEN jsonb_build_object(
                'body', CAST(jsonb_build_object('user_task_execution_pk', CAST(picked.subject AS integer)) AS text)
            )
            WHEN 'reschedule_todo' THEN jsonb_build_object('body', CAST(jsonb_build_object(
                'todo_pk', CAST(picked.subject AS integer),
                'local_date', picked.occasion
            ) AS text))
            WHEN 'events' THEN jsonb_build_object('body', CAST(jsonb_build_object(
                'event_type', split_part(picked.subject, ':', 1),
                'user_id', substr(picked.subject, strpos(picked.subject, ':') + 1),
                'local_date', picked.occasion
            ) AS text))
            WHEN 'update_document' THEN jsonb_build_object(
                'body', CAST(jsonb_build_object(
                    'user_id', picked.user_id,
                    'document_pk', CAST(picked.subject AS integer)
                ) AS text),
                -- Its occasion is the time sent.
                'sent_at', CAST(extract(EPOCH FROM CAST(picked.occasion AS timestamptz)) * 1000 AS bigint)
            )
        END
    FROM picked
    WHERE job.process = picked.process
        AND job.subject = picked.subject
        AND job.occasion = picked.occasion
        AND picked.process <> 'create_from_website'
    RETURNING job.process, job.subject, job.occasion
),
new_website_jobs AS (
    INSERT INTO md_background_job
        (process, subject, occasion, state, attempts, queued_at, message_expires_at, user_id, retry_message)
    SELECT
        process, subject, :new_occasion, 'queued', 0, :now, :expires_at, user_id,
        jsonb_build_object('body', CAST(jsonb_strip_nulls(jsonb_build_object(
            'user_id', user_id,
            'website_url', substr(subject, length(user_id) + 2),
            'scope', outcome -> 'scope',
            'refresh', outcome -> 'refresh',
            'request_id', CAST(:new_occasion AS text)
        )) AS text))
    FROM picked
    WHERE process = 'create_from_website'
    -- Two failed requests for one website become one job.
    ON CONFLICT DO NOTHING
    RETURNING process, subject, occasion
),
old_website_jobs AS (
    UPDATE md_background_job AS job
    SET outcome = job.outcome || jsonb_build_object('retried_as', CAST(:new_occasion AS text))
    FROM picked
    WHERE job.process = picked.process
        AND job.subject = picked.subject
        AND job.occasion = picked.occasion
        AND picked.process = 'create_from_website'
)
SELECT process, subject, occasion FROM requeued
UNION ALL
SELECT process, subject, occasion FROM new_website_jobs
