-- What browsers, one-time codes and opaque tokens need. A partial index holds
-- the rows that belong to a session: most sign-ins by API belong to none.

-- +goose Up
ALTER TABLE accounts ADD COLUMN email_verified BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN phone_verified BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';

CREATE TABLE password_history (
	n       INTEGER PRIMARY KEY,
	account TEXT NOT NULL,
	hash    TEXT NOT NULL,
	at      BIGINT NOT NULL
);
CREATE INDEX password_history_account ON password_history (account);

ALTER TABLE sessions ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;
UPDATE sessions SET seen = created, id = lower(
	hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8' ||
	substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)));
CREATE UNIQUE INDEX sessions_id ON sessions (id);

ALTER TABLE families ADD COLUMN session TEXT NOT NULL DEFAULT '';
ALTER TABLE families ADD COLUMN claims TEXT NOT NULL DEFAULT '';
CREATE INDEX families_session ON families (session) WHERE session <> '';

ALTER TABLE codes ADD COLUMN session TEXT NOT NULL DEFAULT '';
ALTER TABLE codes ADD COLUMN claims TEXT NOT NULL DEFAULT '';
ALTER TABLE codes ADD COLUMN acr TEXT NOT NULL DEFAULT '';
CREATE INDEX codes_session ON codes (session) WHERE session <> '';

ALTER TABLE one_time_codes ADD COLUMN sent BIGINT NOT NULL DEFAULT 1;

CREATE TABLE quotas (
	n     INTEGER PRIMARY KEY,
	hash  BLOB NOT NULL UNIQUE,
	taken BIGINT NOT NULL,
	ends  BIGINT NOT NULL
);
CREATE INDEX quotas_ends ON quotas (ends);

-- A row for each scope: to add one needs no look at the others.
CREATE TABLE consents (
	n       INTEGER PRIMARY KEY,
	account TEXT NOT NULL,
	client  TEXT NOT NULL,
	scope   TEXT NOT NULL,
	updated BIGINT NOT NULL,
	UNIQUE (account, client, scope)
);
CREATE INDEX consents_client ON consents (client);

CREATE TABLE opaque_tokens (
	n        INTEGER PRIMARY KEY,
	hash     BLOB NOT NULL UNIQUE,
	id       TEXT NOT NULL,
	client   TEXT NOT NULL,
	subject  TEXT NOT NULL,
	account  TEXT NOT NULL,
	family   TEXT NOT NULL,
	scopes   TEXT NOT NULL,
	audience TEXT NOT NULL,
	issued   BIGINT NOT NULL,
	expires  BIGINT NOT NULL
);
CREATE INDEX opaque_tokens_expires ON opaque_tokens (expires);

CREATE TABLE deliveries (
	n       INTEGER PRIMARY KEY,
	id      TEXT NOT NULL UNIQUE,
	client  TEXT NOT NULL,
	uri     TEXT NOT NULL,
	body    TEXT NOT NULL,
	tries   BIGINT NOT NULL,
	next    BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX deliveries_next ON deliveries (next);
CREATE INDEX deliveries_expires ON deliveries (expires);
