package main

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// simulated gives a database another clock, which can be put forward. Nodes count by
// the database's (docs/decisions/0007-change-feed.md), so ten minutes, an hour or a day
// pass for the very program that is installed, without a word of it being changed.
func simulated(t *testing.T, url string) {
	t.Helper()
	name := url[strings.LastIndex(url, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	// PostgreSQL's own functions come first unless the path says otherwise.
	postgrestest.Exec(t, url, `CREATE SCHEMA simulated; CREATE TABLE simulated.clock AS SELECT INTERVAL '0' AS ahead;
CREATE FUNCTION simulated.clock_timestamp() RETURNS TIMESTAMPTZ LANGUAGE sql VOLATILE
	AS 'SELECT pg_catalog.clock_timestamp() + ahead FROM simulated.clock';
ALTER DATABASE `+name+` SET search_path = public, simulated, pg_catalog`)
}

// inMillis is the time of day of the database, as it writes its own.
const inMillis = `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`

// number is the answer to a question for one, 0 where there is none.
func (c *cluster) number(sql string) int64 {
	c.Helper()
	text := postgrestest.Ask(c.T, c.url, `SELECT COALESCE((`+sql+`), 0)`)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		c.Fatalf("%s: %q", sql, text)
	}
	return n
}

// till lets the time pass until shortly before a moment, on every node.
func (c *cluster) till(moment int64) (rest time.Duration) {
	c.Helper()
	const shortly = 600 * time.Millisecond
	left := time.Duration(moment-c.number(`SELECT `+inMillis)) * time.Millisecond
	if left <= shortly {
		return max(0, left)
	}
	began := time.Now()
	postgrestest.Exec(c.T, c.url, `UPDATE simulated.clock SET ahead = ahead + INTERVAL '`+strconv.FormatInt((left-shortly).Milliseconds(), 10)+` milliseconds'`)
	want := float64(c.number(`SELECT CAST(EXTRACT(EPOCH FROM ahead) AS BIGINT) FROM simulated.clock`))
	for _, n := range c.nodes {
		eventually(c.T, "the node knows the time", func() bool {
			ahead, err := strconv.ParseFloat(metricLine(n.metrics(), "gatehouse_store_clock_ahead_seconds "), 64)
			return err == nil && math.Abs(ahead-want) < 3
		})
	}
	return max(0, shortly-time.Since(began))
}
