-- What an opaque token says besides, such as an operator's attributes: a JWT has it
-- in itself.

-- +goose Up
ALTER TABLE opaque_tokens ADD COLUMN claims TEXT NOT NULL DEFAULT '';
