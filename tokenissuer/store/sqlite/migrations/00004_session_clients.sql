-- The clients that got a sign-in in a session, for as long as the session is there:
-- a sign-out tells them, also where the sign-in itself was over before.

-- +goose Up
CREATE TABLE session_clients (
	session BIGINT NOT NULL REFERENCES sessions (n) ON DELETE CASCADE,
	client  TEXT NOT NULL,
	PRIMARY KEY (session, client)
) WITHOUT ROWID;
INSERT INTO session_clients (session, client)
SELECT DISTINCT s.n, f.client FROM sessions s JOIN families f ON f.session = s.id WHERE f.session <> '';
