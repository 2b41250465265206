-- The opaque tokens of a sign-in, which go with it where it gives way. Those of
-- client_credentials belong to none.

-- +goose Up
CREATE INDEX opaque_tokens_family ON opaque_tokens (family) WHERE family <> '';
