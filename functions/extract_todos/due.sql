-- Select one page of finished task executions whose to-dos were not extracted yet.
--
-- An execution is finished when its result has not changed since :youngest. Its result is the newest version
-- of its texts. The query reads versions from an index, in the order of their dates. So its cost follows the
-- versions written since the oldest date, not all versions.
--
-- Columns
--   subject               key of the execution
--   occasion              always empty: an execution is extracted once
--   user_id               whose execution
--   after_date, after_pk  key of the newest version. After a full page, one row without a subject has the next
--                         parameters.
-- Parameters
--   after_date, after_pk  the version after which the page begins; first the oldest date, and the largest key
--   youngest              the newest date of a finished result (a timestamp without zone, in UTC)
--   page_size             executions in a page
-- `unclaimable` lists the jobs that a schedule may not claim; `mojodex.jobs.claim` defines it.
WITH due AS MATERIALIZED (
    SELECT
        CAST(execution.user_task_execution_pk AS text) AS subject,
        -- A subquery in the list of columns is a lookup, and only for the rows of the page.
        (
            SELECT user_task.user_id
            FROM md_user_task AS user_task
            WHERE user_task.user_task_pk = execution.user_task_fk
        ) AS user_id,
        version.creation_date AS after_date,
        version.produced_text_version_pk AS after_pk
    FROM md_produced_text_version AS version
    -- LATERAL with LIMIT 1 stays a lookup for each row; with old statistics, a join read whole tables.
    CROSS JOIN LATERAL (
        SELECT execution.user_task_execution_pk, execution.user_task_fk
        FROM md_produced_text AS its_text
        JOIN md_user_task_execution AS execution
            ON execution.user_task_execution_pk = its_text.user_task_execution_fk
        WHERE its_text.produced_text_pk = version.produced_text_fk
            AND its_text.deleted_by_user IS NULL
            AND execution.todos_extracted IS NULL
            AND execution.deleted_by_user IS NULL
        LIMIT 1
    ) AS execution
    WHERE (version.creation_date, version.produced_text_version_pk) > (:after_date, :after_pk)
        AND version.creation_date <= :youngest
        AND NOT EXISTS (
            SELECT
            FROM md_produced_text AS any_text
            -- LATERAL with LIMIT 1, as above.
            CROSS JOIN LATERAL (
                SELECT
                FROM md_produced_text_version AS newer
                WHERE newer.produced_text_fk = any_text.produced_text_pk
                    AND (newer.creation_date, newer.produced_text_version_pk)
                        > (version.creation_date, version.produced_text_version_pk)
                LIMIT 1
            ) AS newer
            WHERE any_text.user_task_execution_fk = execution.user_task_execution_pk
                AND any_text.deleted_by_user IS NULL
            -- OFFSET 0 keeps this a lookup for each row; the planner cannot make an anti-join of it.
            OFFSET 0
        )
        AND NOT EXISTS (
            SELECT
            FROM unclaimable
            WHERE unclaimable.subject = CAST(execution.user_task_execution_pk AS text)
                AND unclaimable.occasion = ''
            -- OFFSET 0, as above; an anti-join read a whole ledger of a million jobs for each page.
            OFFSET 0
        )
    ORDER BY version.creation_date, version.produced_text_version_pk
    LIMIT :page_size
)
SELECT subject, '' AS occasion, user_id, after_date, after_pk
FROM due
UNION ALL
(SELECT NULL, NULL, NULL, after_date, after_pk FROM due ORDER BY after_date, after_pk OFFSET :page_size - 1)
