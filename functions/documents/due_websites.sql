-- Select one keyset page of the websites with web pages that wait to be fetched or ingested.
--
-- The schedule claims those whose message is lost, according to the ledger. Usually there are few.
--
-- Columns
--   subject, occasion  of the website's job
--   user_id            the user of the website; the subject begins with it
--   scope, refresh     of the message; scope is NULL if it had none
--   after_pk           A full page ends with a row without a subject: the parameter of the next page.
-- Parameters
--   after_pk           the first waiting web page of the last website before this page; first page: 0
--   page_size          websites in a page
WITH due AS MATERIALIZED (
    SELECT
        page.subject,
        page.occasion,
        page.user_id,
        job.outcome ->> 'scope' AS scope,
        COALESCE(CAST(job.outcome -> 'refresh' AS boolean), FALSE) AS refresh,
        min(page.page_pk) AS first_page_pk
    FROM md_background_page AS page
    JOIN md_background_job AS job
        ON job.process = 'create_from_website'
        AND job.subject = page.subject
        AND job.occasion = page.occasion
    WHERE page.state IN ('found', 'staged')
    GROUP BY page.subject, page.occasion, page.user_id, job.outcome ->> 'scope', job.outcome -> 'refresh'
    HAVING min(page.page_pk) > :after_pk
    ORDER BY min(page.page_pk)
    LIMIT :page_size
)
SELECT subject, occasion, user_id, scope, refresh, first_page_pk AS after_pk
FROM due
UNION ALL
(SELECT NULL, NULL, NULL, NULL, NULL, first_page_pk FROM due ORDER BY first_page_pk OFFSET :page_size - 1)
