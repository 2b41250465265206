-- What is due is found client by client, however much of it one of them has. A client
-- that took nothing is left alone for a while with all that it has, by one row.

-- +goose Up
CREATE INDEX deliveries_due ON deliveries (client, next);
DROP INDEX deliveries_next;

CREATE TABLE silent_clients (
	n        INTEGER PRIMARY KEY,
	client   TEXT NOT NULL UNIQUE,
	failures BIGINT NOT NULL,
	until    BIGINT NOT NULL
);
CREATE INDEX silent_clients_until ON silent_clients (until);
