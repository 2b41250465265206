-- How long after its end a sign-in stays, for the access tokens that it gave last: the
-- sweep writes it, and does not come by again before.

-- +goose Up
ALTER TABLE families ADD COLUMN lingers BIGINT NOT NULL DEFAULT 0;
CREATE INDEX families_over ON families (expires + lingers);
DROP INDEX families_expires;
