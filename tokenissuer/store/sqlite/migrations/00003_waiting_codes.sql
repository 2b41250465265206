-- The codes of an account that wait for their client, and those alone: a signed-in
-- browser may ask for one after the other, and the oldest must be found without
-- reading what was redeemed.

-- +goose Up
CREATE INDEX codes_waiting ON codes (account, client, n) WHERE family = '';
