package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// cluster measures nodes that share a PostgreSQL database: what a token costs them
// and the database, how a proxied request fares beside that, and how long a
// revocation takes to the last node. On one machine more nodes are not more room:
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
	fmt.Printf("\n| accounts | nodes | refreshes/s | p99 ms | CPU us of the nodes | of PostgreSQL | one node's part |\n|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, accounts := range []int{0, o.accounts} {
		if accounts > 0 {
			if err := populate(db, accounts); err != nil {
				return err
			}
		}
		for n := range nodes {
			rows, err := clusterRounds(nodes[:n+1], db, o)
			if err != nil {
				return err
			}
			fmt.Printf("| %d | %d | %s |\n", accounts+1, n+1, rows)
		}
	}
	return nil
}

// clusterRounds is the median of the rounds.
func clusterRounds(nodes []*server, db *database, o options) (string, error) {
	var rates, p99s, own, theirs, parts []float64
	for round := range o.rounds + 1 {
		of := o
		of.connections = max(1, o.connections/len(nodes))
		results, failed := make([]result, len(nodes)), make([]error, len(nodes))
		before := db.cpu()
		var all sync.WaitGroup
		for n, s := range nodes {
			all.Go(func() { results[n], failed[n] = askAll(s, of) })
		}
		all.Wait()
		after := db.cpu()
		var sum result
		for n, r := range results {
			if failed[n] != nil {
				return "", failed[n]
			}
			sum.requests, sum.cpu, sum.took, sum.p99 = sum.requests+r.requests, sum.cpu+r.cpu, max(sum.took, r.took), max(sum.p99, r.p99)
		}
		if round == 0 {
			continue
		}
		rates, p99s = append(rates, sum.rate()), append(p99s, milliseconds(sum.p99))
		own = append(own, sum.each())
		theirs = append(theirs, float64((after-before).Microseconds())/float64(max(1, sum.requests)))
		parts = append(parts, sum.rate()/float64(len(nodes)))
	}
	for _, v := range [][]float64{rates, p99s, own, theirs, parts} {
		slices.Sort(v)
	}
	return fmt.Sprintf("**%.0f** | %.1f | **%.0f** (%.0f-%.0f) | **%.0f** (%.0f-%.0f) | %.0f", median(rates), median(p99s), median(own), own[0], own[len(own)-1],
		median(theirs), theirs[0], theirs[len(theirs)-1], median(parts)), nil
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
