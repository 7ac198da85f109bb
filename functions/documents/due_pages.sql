-- Select one page of the web pages that wait for ingest_page: fetched, and published by their crawl.
--
-- Of these, the ledger lets a schedule claim those whose message is lost. Most are not.
--
-- Columns
--   subject    key of the web page
--   occasion   always empty: a web page is ingested once
--   user_id    whose web page
--   after_pk   After a full page: one row without a subject, with the parameter of the next.
-- Parameters
--   after_pk   key of the web page behind which the page begins; first page: 0
--   page_size  web pages in a page
WITH due AS MATERIALIZED (
    SELECT page.page_pk, page.user_id
    FROM md_background_page AS page
    -- Before the crawl has ended, a page has no job.
    JOIN md_background_job AS job
        ON job.process = 'ingest_page'
        AND job.subject = CAST(page.page_pk AS text)
        AND job.occasion = ''
    WHERE page.state = 'staged'
        AND page.page_pk > :after_pk
    ORDER BY page.page_pk
    LIMIT :page_size
)
SELECT CAST(page_pk AS text) AS subject, '' AS occasion, user_id, page_pk AS after_pk
FROM due
UNION ALL
(SELECT NULL, NULL, NULL, page_pk FROM due ORDER BY page_pk OFFSET :page_size - 1)
