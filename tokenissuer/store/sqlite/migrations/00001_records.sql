-- Most tables have a row number of their own and a unique index on what they
-- are looked up by: hashes are random, and a table ordered by them would touch
-- another page with every row. Times are Unix milliseconds, 0 for none.

-- +goose Up
CREATE TABLE accounts (
	n               INTEGER PRIMARY KEY,
	id              TEXT NOT NULL UNIQUE,
	username        TEXT UNIQUE,
	email           TEXT UNIQUE,
	phone           TEXT UNIQUE,
	name            TEXT NOT NULL,
	nickname        TEXT NOT NULL,
	zone_info       TEXT NOT NULL,
	locale          TEXT NOT NULL,
	password_hash   TEXT NOT NULL,
	password_set    BIGINT NOT NULL,
	password_expire BIGINT NOT NULL,
	state           TEXT NOT NULL,
	created         BIGINT NOT NULL,
	updated         BIGINT NOT NULL
);

CREATE TABLE families (
	n         INTEGER PRIMARY KEY,
	id        TEXT NOT NULL UNIQUE,
	account   TEXT NOT NULL,
	client    TEXT NOT NULL,
	source    TEXT NOT NULL,
	amr       TEXT NOT NULL,
	scopes    TEXT NOT NULL,
	auth_time BIGINT NOT NULL,
	created   BIGINT NOT NULL,
	expires   BIGINT NOT NULL,
	revoked   BIGINT NOT NULL
);
CREATE INDEX families_account ON families (account);
CREATE INDEX families_client ON families (client);
CREATE INDEX families_expires ON families (expires);

-- The tokens of a family lie together: spending a refresh token and storing
-- its successor touch one page, and a revocation reads one.
CREATE TABLE refresh_tokens (
	family   BIGINT NOT NULL REFERENCES families (n),
	position BIGINT NOT NULL,
	hash     BLOB NOT NULL UNIQUE,
	spent    BIGINT NOT NULL,
	PRIMARY KEY (family, position)
) WITHOUT ROWID;

CREATE TABLE tokens (
	family  BIGINT NOT NULL REFERENCES families (n),
	id      TEXT NOT NULL UNIQUE,
	expires BIGINT NOT NULL,
	PRIMARY KEY (family, id)
) WITHOUT ROWID;
CREATE INDEX tokens_expires ON tokens (expires);

CREATE TABLE revoked_tokens (
	n       INTEGER PRIMARY KEY,
	id      TEXT NOT NULL UNIQUE,
	expires BIGINT NOT NULL
);
CREATE INDEX revoked_tokens_expires ON revoked_tokens (expires);

CREATE TABLE revoked_clients (
	n          INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE,
	not_before BIGINT NOT NULL,
	expires    BIGINT NOT NULL
);

CREATE TABLE codes (
	n            INTEGER PRIMARY KEY,
	hash         BLOB NOT NULL UNIQUE,
	client       TEXT NOT NULL,
	account      TEXT NOT NULL,
	source       TEXT NOT NULL,
	redirect_uri TEXT NOT NULL,
	scopes       TEXT NOT NULL,
	amr          TEXT NOT NULL,
	nonce        TEXT NOT NULL,
	challenge    TEXT NOT NULL,
	auth_time    BIGINT NOT NULL,
	expires      BIGINT NOT NULL,
	spent        BIGINT NOT NULL,
	family       TEXT NOT NULL
);
CREATE INDEX codes_account ON codes (account);
CREATE INDEX codes_client ON codes (client);
CREATE INDEX codes_expires ON codes (expires);

CREATE TABLE sessions (
	n         INTEGER PRIMARY KEY,
	hash      BLOB NOT NULL UNIQUE,
	account   TEXT NOT NULL,
	source    TEXT NOT NULL,
	amr       TEXT NOT NULL,
	auth_time BIGINT NOT NULL,
	created   BIGINT NOT NULL,
	expires   BIGINT NOT NULL
);
CREATE INDEX sessions_account ON sessions (account);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE one_time_codes (
	n            INTEGER PRIMARY KEY,
	hash         BLOB NOT NULL UNIQUE,
	code_hash    BLOB NOT NULL,
	client       TEXT NOT NULL,
	source       TEXT NOT NULL,
	usage        TEXT NOT NULL,
	kind         TEXT NOT NULL,
	destination  TEXT NOT NULL,
	failures     BIGINT NOT NULL,
	code_expires BIGINT NOT NULL,
	expires      BIGINT NOT NULL
);
CREATE INDEX one_time_codes_expires ON one_time_codes (expires);

CREATE TABLE attempts (
	n             INTEGER PRIMARY KEY,
	hash          BLOB NOT NULL UNIQUE,
	neighbourhood BIGINT NOT NULL,
	failures      BIGINT NOT NULL,
	since         BIGINT NOT NULL,
	until         BIGINT NOT NULL,
	expires       BIGINT NOT NULL,
	name          BLOB NOT NULL
);
CREATE INDEX attempts_name ON attempts (name);
CREATE INDEX attempts_neighbourhood ON attempts (neighbourhood);
CREATE INDEX attempts_expires ON attempts (expires);

CREATE TABLE known_addresses (
	n       INTEGER PRIMARY KEY,
	account TEXT NOT NULL,
	address BLOB NOT NULL,
	seen    BIGINT NOT NULL,
	UNIQUE (account, address)
);
CREATE INDEX known_addresses_seen ON known_addresses (seen);

CREATE TABLE keys (
	n         INTEGER PRIMARY KEY,
	id        TEXT NOT NULL UNIQUE,
	usage     TEXT NOT NULL,
	algorithm TEXT NOT NULL,
	material  BLOB NOT NULL,
	sealed    BIGINT NOT NULL,
	created   BIGINT NOT NULL,
	sign_from BIGINT NOT NULL,
	retired   BIGINT NOT NULL,
	expires   BIGINT NOT NULL
);

CREATE TABLE clients (
	n          INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE,
	record     BLOB NOT NULL,
	generation BIGINT NOT NULL,
	updated    BIGINT NOT NULL
);

CREATE TABLE events (
	n       INTEGER PRIMARY KEY,
	at      BIGINT NOT NULL,
	actor   TEXT NOT NULL,
	action  TEXT NOT NULL,
	subject TEXT NOT NULL,
	detail  TEXT NOT NULL
);
CREATE INDEX events_at ON events (at);
