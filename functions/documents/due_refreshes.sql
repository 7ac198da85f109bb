-- Select the websites that are to be refreshed, those first that have been due longest.
--
-- A website is due until its refresh has ended, so that no more than so many are refreshed at a time. The rest
-- follows in the next runs.
--
-- Columns
--   subject      user and address, as of a request
--   occasion     "refresh" and the moment at which it was due, in UTC: one refresh for each
--   user_id      whose website
--   website_url  where the refresh begins: what was asked for last; of an earlier release, its site
--   scope        what was asked for then; NULL if nothing
-- Parameters
--   today        the present moment
--   at_a_time    websites that are refreshed at a time at most
WITH due AS MATERIALIZED (
    SELECT
        website.user_id,
        website.refresh_at,
        COALESCE(website.website_url, website.site) AS website_url,
        website.scope
    FROM md_background_website AS website
    JOIN md_user AS who ON who.user_id = website.user_id
    WHERE website.refresh_at <= :today
    ORDER BY website.refresh_at, website.user_id, website.site
    LIMIT :at_a_time
)
-- Of two websites with the same address, one: their refresh is the same job.
SELECT DISTINCT ON (refresh_at, user_id, website_url)
    user_id || ' ' || website_url AS subject,
    'refresh ' || CAST(refresh_at AT TIME ZONE 'UTC' AS text) AS occasion,
    user_id,
    website_url,
    scope
FROM due
ORDER BY refresh_at, user_id, website_url, scope
