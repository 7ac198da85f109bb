-- Select the kind of a user's present mail block; no row if there is none.
--
-- Part of other statements (see `mojodex.mail_ledger`), which replace {user_id} and {now} by their expressions.
-- A block belongs to an address. It does not count once the user has another.
SELECT block.kind
FROM md_background_mail_block AS block
WHERE block.user_id = {user_id}
    AND (block.until IS NULL OR block.until > {now})
    AND (block.lifted_at IS NULL OR block.since > block.lifted_at)
    AND EXISTS (
        SELECT FROM md_user AS its_user
        WHERE its_user.user_id = {user_id} AND its_user.email = block.address
        OFFSET 0
    )
OFFSET 0
