-- Select the websites to refresh, those that have been due longest first.
--
-- A website stays due until its refresh has ended, so that the limit bounds the refreshes at a time. Later
-- runs select the rest.
--
-- Columns
--   subject      user and address, as for a request
--   occasion     "refresh" and the time at which it was due, in UTC: one refresh for each
--   user_id      the user of the website
--   website_url  where it begins: the last requested address, or the site in rows of an earlier release
--   scope        the last requested scope; NULL if none
-- Parameters
--   today        the present moment
--   at_a_time    the most websites to refresh at a time
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
-- Two websites with the same address have the same job: select one.
SELECT DISTINCT ON (refresh_at, user_id, website_url)
    user_id || ' ' || website_url AS subject,
    'refresh ' || CAST(refresh_at AT TIME ZONE 'UTC' AS text) AS occasion,
    user_id,
    website_url,
    scope
FROM due
ORDER BY refresh_at, user_id, website_url, scope
