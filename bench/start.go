package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// starts measures what an operator waits for: the start with an existing store
// until the first accepted request, a reload with its effect on requests that
// come at the same time, and the memory of a server that nobody asks.
func starts(o options) error {
	if o.targets == "" {
		o.targets = "plain,gatehouse"
	}
	all, err := running(o, proxy)
	if err != nil {
		return err
	}
	pinSelf(generatorCore)
	fmt.Printf("| server | cold start ms | (min-max) | idle RSS MiB | reload ms | (min-max) | requests during reloads | failed |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range all {
		var cold []float64
		for range o.rounds {
			s.stop()
			if err := s.up(); err != nil {
				return err
			}
			cold = append(cold, milliseconds(s.cold))
		}
		time.Sleep(5 * time.Second) // idle means after the start's own work is over
		idle := s.memory()
		reload, asked, failed, err := s.reloads(o.rounds)
		if err != nil {
			return err
		}
		slices.Sort(cold)
		slices.Sort(reload)
		fmt.Printf("| %s | **%.0f** | %.0f-%.0f | **%.0f** | **%.1f** | %.1f-%.1f | %d | %d |\n", s.name, median(cold), cold[0], cold[len(cold)-1],
			idle, median(reload), reload[0], reload[len(reload)-1], asked, failed)
	}
	for _, s := range all {
		fmt.Printf("%s: %s\n", s.name, s.about)
	}
	return nil
}

// reloads loads the same configuration again and again while requests come, each
// on a connection of its own: those are what a reload can lose.
func (s *server) reloads(n int) (took []float64, asked, failed int, err error) {
	config, err := os.ReadFile(filepath.Join(servers, s.target.reload+".Caddyfile"))
	if err != nil {
		return nil, 0, 0, err
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		fresh := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			asked++
			if s.get(fresh, s.tokens[0], http.StatusOK) != nil {
				failed++
			}
		}
	}()
	for range n {
		time.Sleep(200 * time.Millisecond)
		began := time.Now()
		if err = s.loadAgain(config); err != nil {
			break
		}
		took = append(took, milliseconds(time.Since(began)))
	}
	close(stop)
	<-done
	return took, asked, failed, err
}

func (s *server) loadAgain(config []byte) error {
	req, err := http.NewRequest(http.MethodPost, "http://"+s.admin+"/load", bytes.NewReader(config))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate") // load it although it is the same
	res, err := browser.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: reload: %s", s.name, res.Status)
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
