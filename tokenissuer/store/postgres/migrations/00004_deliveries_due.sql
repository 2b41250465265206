-- What is due is found client by client, however much of it one of them has. Programs
-- that know less ask for deliveries_next, which goes when none of them is left. What
-- an attempt that was ended has left is no index: it is made anew.

-- +goose NO TRANSACTION
-- +goose Up

DROP INDEX CONCURRENTLY IF EXISTS deliveries_due;
CREATE INDEX CONCURRENTLY deliveries_due ON deliveries (client, next, n);
