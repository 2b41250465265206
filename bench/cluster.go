package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// cluster measures nodes that share a PostgreSQL database: what a token costs them
// and the database, and how a proxied request fares alone and beside that. On one machine more nodes are not more room:
// what can be read here are the costs, and whether they stay what they are.
func cluster(o options) error {
	db, err := startDatabase()
	if err != nil {
		return err
	}
	defer db.stop()
	var nodes []*server
	for n := range 3 {
		t := refreshing("ES256")
		t.name, t.kind, t.argv, t.env = fmt.Sprintf("node-%d", n), both, caddy("gatehouse", "cluster"), []string{"DATABASE_URL=" + db.url}
		t.guards, t.own, t.person, t.form = true, true, t.form, clientCredentials
		if n > 0 {
			t.setup = nil // the account is there
		}
		s, err := start(t, o)
		if err != nil {
			return err
		}
		nodes = append(nodes, s)
	}
	goFirst()
	fmt.Printf("\n%d rounds of %s, %d connections, %d proxied requests/s; medians (and the least and most of the rounds)\n\n", o.rounds, o.duration, o.connections, o.rate)
	fmt.Println("| accounts | nodes | client_credentials/s | CPU us of the nodes | refreshes/s | p99 ms | CPU us of the nodes | of PostgreSQL | gate p50 ms | p99 ms | p50 beside refreshes | p99 beside refreshes |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, accounts := range []int{0, o.accounts} {
		if accounts > 0 {
			if err := populate(db, accounts); err != nil {
				return err
			}
		}
		rows, err := clusterRounds(nodes, db, o)
		if err != nil {
			return err
		}
		for n, row := range rows {
			fmt.Printf("| %d | %d | %s |\n", accounts+1, n+1, row)
		}
	}
	return nil
}

// cell is one round with some of the nodes.
type cell struct {
	machines, people   result // tokens of client_credentials, and refreshes
	database           time.Duration
	gate, besidePeople result
}

// clusterRounds measures with one, two and all nodes in every round, in an order that
// turns: what disturbs the machine then disturbs them alike.
func clusterRounds(nodes []*server, db *database, o options) ([]string, error) {
	cells := make([][]cell, len(nodes))
	for round := range o.rounds + 1 {
		for i := range nodes {
			n := (i + round) % len(nodes)
			c, err := clusterCell(nodes[:n+1], db, o)
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first round warms up
				cells[n] = append(cells[n], c)
			}
		}
		fmt.Fprintf(os.Stderr, "cluster: round %d of %d\n", round, o.rounds)
	}
	var rows []string
	for _, c := range cells {
		rows = append(rows, clusterRow(c))
	}
	return rows, nil
}

func clusterCell(nodes []*server, db *database, o options) (c cell, err error) {
	o.connections, o.rate = max(1, o.connections/len(nodes)), max(1, o.rate/len(nodes))
	machines := func(s *server) (result, error) {
		of := *s
		of.grant, of.person = nil, nil
		return askAll(&of, o)
	}
	people := func(s *server) (result, error) { return askAll(s, o) }
	gate := func(s *server) (result, error) { return steady(s, o) }
	if c.machines, err = onAll(nodes, machines); err != nil {
		return c, err
	}
	before := db.cpu()
	if c.people, err = onAll(nodes, people); err != nil {
		return c, err
	}
	c.database = db.cpu() - before
	if c.gate, err = onAll(nodes, gate); err != nil {
		return c, err
	}
	refreshed := make(chan error, 1)
	go func() {
		_, err := onAll(nodes, people)
		refreshed <- err
	}()
	c.besidePeople, err = onAll(nodes, gate)
	return c, errors.Join(err, <-refreshed)
}

// onAll loads all nodes at once. The percentiles are those of the slowest node.
func onAll(nodes []*server, load func(*server) (result, error)) (sum result, err error) {
	results, failed := make([]result, len(nodes)), make([]error, len(nodes))
	var all sync.WaitGroup
	for n, s := range nodes {
		all.Go(func() { results[n], failed[n] = load(s) })
	}
	all.Wait()
	for _, r := range results {
		sum.requests, sum.cpu, sum.took = sum.requests+r.requests, sum.cpu+r.cpu, max(sum.took, r.took)
		sum.p50, sum.p99 = max(sum.p50, r.p50), max(sum.p99, r.p99)
	}
	return sum, errors.Join(failed...)
}

func clusterRow(cells []cell) string {
	of := func(format string, value func(cell) float64) string {
		var values []float64
		for _, c := range cells {
			values = append(values, value(c))
		}
		return fmt.Sprintf("**"+format+"** ("+format+"-"+format+")", median(values), slices.Min(values), slices.Max(values))
	}
	return strings.Join([]string{
		of("%.0f", func(c cell) float64 { return c.machines.rate() }),
		of("%.0f", func(c cell) float64 { return c.machines.each() }),
		of("%.0f", func(c cell) float64 { return c.people.rate() }),
		of("%.1f", func(c cell) float64 { return milliseconds(c.people.p99) }),
		of("%.0f", func(c cell) float64 { return c.people.each() }),
		of("%.0f", func(c cell) float64 { return float64(c.database.Microseconds()) / float64(max(1, c.people.requests)) }),
		of("%.2f", func(c cell) float64 { return milliseconds(c.gate.p50) }),
		of("%.2f", func(c cell) float64 { return milliseconds(c.gate.p99) }),
		of("%.2f", func(c cell) float64 { return milliseconds(c.besidePeople.p50) }),
		of("%.2f", func(c cell) float64 { return milliseconds(c.besidePeople.p99) }),
	}, " | ")
}

// populate gives the database as many people as it is to have, each with a sign-in
// and five refresh tokens, the way that years do.
func populate(db *database, accounts int) error {
	began := time.Now()
	expires := time.Now().Add(20 * time.Hour).UnixMilli()
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO accounts (id, username, email, name, nickname, zone_info, locale, password_hash, password_set, password_expire, state, created, updated, email_verified, phone_verified, attributes)
			SELECT gen_random_uuid()::text, 'u' || i, 'u' || i || '@x.example', '', '', '', '', '', 0, 0, 'active', 0, 0, 0, 0, '{}' FROM generate_series(1, %d) i`, accounts),
		fmt.Sprintf(`INSERT INTO families (id, account, client, source, amr, scopes, auth_time, created, expires, revoked, session, claims)
			SELECT gen_random_uuid()::text, id, 'app', 'password', 'pwd', 'openid', 0, 0, %d + n, 0, '', '' FROM accounts WHERE username LIKE 'u%%'`, expires),
		`INSERT INTO refresh_tokens (family, position, hash, spent)
			SELECT n, i, sha256((id || i)::bytea), 0 FROM families CROSS JOIN generate_series(0, 4) i WHERE created = 0`,
		`ANALYZE`,
	} {
		if err := db.run(sql); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "cluster: %d accounts with %d refresh tokens made in %s\n", accounts, 5*accounts, time.Since(began).Round(time.Second))
	return nil
}
