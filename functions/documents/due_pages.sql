-- Select one keyset page of the staged web pages that their crawl has published.
--
-- The schedule claims those whose message is lost, according to the ledger. Usually there are few.
--
-- Columns
--   subject    primary key of the web page
--   occasion   always empty: a web page is ingested once
--   user_id    the user of the web page
--   after_pk   A full page ends with a row without a subject: the parameter of the next page.
-- Parameters
--   after_pk   primary key of the last web page before this page; first page: 0
--   page_size  web pages in a page
WITH due AS MATERIALIZED (
    SELECT page.page_pk, page.user_id
    FROM md_background_page AS page
    -- Until the crawl ends, a page has no job.
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
