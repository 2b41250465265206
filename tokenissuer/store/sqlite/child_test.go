package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/storetest"
)

// What the test binary is when a test starts it again.
const (
	asRotation = "STORE_TEST_ROTATE"    // the path to rotate in until it is killed
	asFullDisk = "STORE_TEST_FULL_DISK" // the path to fill
	asHolder   = "STORE_TEST_HOLD"      // the path to keep open until its input ends
)

func TestMain(m *testing.M) {
	if path := os.Getenv(asRotation); path != "" {
		exit(rotate(path))
	}
	if path := os.Getenv(asFullDisk); path != "" {
		exit(fillDisk(path))
	}
	if path := os.Getenv(asHolder); path != "" {
		exit(holdStore(path))
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// again is this test binary as something else.
func again(role, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

func rotate(path string) error {
	st, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return err
	}
	return storetest.Rotate(context.Background(), st, os.Stdout)
}

func holdStore(path string) error {
	st, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return err
	}
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, st.Close())
}

func TestKilledProcessLosesNothingItToldOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	storetest.Crash(t, 30,
		func(ctx context.Context) (*store.Store, error) { return sqlite.Open(ctx, path) },
		func() *exec.Cmd { return again(asRotation, path) })
}
