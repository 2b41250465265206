// Package e2e walks through the pages with a real browser, and through the protocol with ready-made clients.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// here is the one instance, browser and app that all tests share.
var here *world

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run makes the world, runs the tests and ends what it started. GATEHOUSE is the
// binary, CHROMIUM the browser, SCREENSHOTS the folder to keep pictures in.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gatehouse-e2e")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(dir)
	if err := install(); err != nil {
		return failed(err)
	}
	here, err = begin(dir)
	if err != nil {
		return failed(err)
	}
	status := m.Run()
	if err := here.end(); err != nil {
		return failed(err)
	}
	return status
}

func failed(err error) int {
	fmt.Println("e2e:", err)
	return 1
}

// install fetches the clients of npm/package-lock.json, once.
func install() error {
	lock, err := os.ReadFile("npm/package-lock.json")
	if err != nil {
		return err
	}
	stamp := "npm/node_modules/.installed"
	if done, err := os.ReadFile(stamp); err == nil && string(done) == string(lock) {
		return nil
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	npm.Dir = "npm"
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return os.WriteFile(stamp, lock, 0o600)
}

// binary is the program under test.
func binary() (string, error) {
	path := os.Getenv("GATEHOUSE")
	if path == "" {
		path = "../gatehouse"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: run it as `make e2e`", err)
	}
	return path, nil
}
