-- Select one page of the websites that have web pages which wait to be fetched or ingested.
--
-- Of these, the ledger lets a schedule claim those whose message is lost. Most are not.
--
-- Columns
--   subject, occasion  of the website's job
--   user_id            whose website; the subject begins with it
--   scope, refresh     what the message asked for; scope is NULL if it asked for none
--   after_pk           After a full page: one row without a subject, with the parameter of the next.
-- Parameters
--   after_pk           key of a web page: the page begins behind the website of which this is the first
--                      that waits; first page: 0
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
