-- How long after its end a sign-in stays, for the access tokens that it gave last: the
-- sweep writes it, and does not come by again before. 0 is right of every row that is
-- there, and of those that programs write which know less.

-- +goose Up

ALTER TABLE families ADD COLUMN lingers BIGINT NOT NULL DEFAULT 0;
