// Command testcount reads `go test -json` and says how many tests passed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a package that does not build
	Test       string
	Output     string
	Elapsed    float64
}

func main() {
	passed, failed, err := count(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if err != nil || failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

// count counts a test and each of its subtests as one; a package that fails
// without a failing test (it does not build, it panics, it times out) as one failure.
func count(in io.Reader, out io.Writer) (passed, failed int, err error) {
	said := map[string][]string{}  // what a running test has printed
	inPackage := map[string]int{}  // its failed tests
	running := map[string]string{} // tests that have not ended: a panic ends them without an event
	lines := bufio.NewReader(in)
	for {
		line, readErr := lines.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprintln(out, line) // go itself speaks plain text
				continue
			}
			key := e.Package + " " + e.Test
			switch e.Action {
			case "build-output":
				fmt.Fprint(out, e.Output)
			case "run":
				running[key] = e.Package
			case "output":
				said[key] = append(said[key], e.Output)
			case "pass", "skip", "fail":
				delete(running, key)
				switch {
				case e.Action == "fail" && (e.Test != "" || inPackage[e.Package] == 0):
					failed++
					inPackage[e.Package]++
					if e.Test == "" {
						// The last words of a package that broke off are those of its running tests.
						for k, p := range running {
							if p == e.Package {
								fmt.Fprint(out, strings.Join(said[k], ""))
							}
						}
					}
					fmt.Fprint(out, strings.Join(said[key], ""))
				case e.Action == "pass" && e.Test != "":
					passed++
				}
				if e.Test == "" && e.Action != "skip" {
					fmt.Fprintf(out, "%-4s %s %.1fs\n", e.Action, e.Package, e.Elapsed)
				}
				delete(said, key)
			}
		}
		if readErr == io.EOF {
			return passed, failed, nil
		}
		if readErr != nil {
			return passed, failed, readErr
		}
	}
}
