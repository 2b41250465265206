-- The sign-ins by the time when nothing needs them any more. Programs that know less ask
-- for families_expires, which goes when none of them is left. What an attempt that was
-- ended has left is no index: it is made anew.

-- +goose NO TRANSACTION
-- +goose Up

DROP INDEX CONCURRENTLY IF EXISTS families_over;
CREATE INDEX CONCURRENTLY families_over ON families ((expires + lingers));
