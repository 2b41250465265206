package caddymodule

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// oneArg wants exactly one argument, which messages call what.
func oneArg(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return fmt.Errorf("%s: %s is missing: expected %s", c.Name(), what, c.Use)
		case 1:
			return nil
		}
		return fmt.Errorf("%s: unexpected %q after %s: expected %s", c.Name(), args[1], what, c.Use)
	}
}

// oneFile wants the name of one file. Where - stands for no stream, why says so.
func oneFile(why string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := oneArg("FILE")(c, args); err != nil {
			return err
		}
		switch {
		case args[0] == "":
			return fmt.Errorf("%s: FILE is empty: expected %s", c.Name(), c.Use)
		case args[0] == "-" && why != "":
			return fmt.Errorf("%s: - is no file, and %s", c.Name(), why)
		}
		return nil
	}
}

// without refuses flags that would change nothing.
func without(c *cobra.Command, why string, flags ...string) error {
	for _, name := range flags {
		if c.Flag(name).Changed {
			return fmt.Errorf("%s: unexpected --%s: %s", c.Name(), name, why)
		}
	}
	return nil
}

// asksNobody refuses --address where a command works on a store itself.
func asksNobody(c *cobra.Command, what string) error {
	return without(c, what+" works on the store that --config names, and asks no running instance", "address")
}

var (
	unknownFlag = regexp.MustCompile(`^unknown flag: --([^ =]+)$`)
	flagNames   = regexp.MustCompile(`--([a-z][a-z-]*)`)
)

// flagError names the flags that there are beside one that there is not.
func flagError(c *cobra.Command, err error) error {
	unknown := unknownFlag.FindStringSubmatch(err.Error())
	if unknown == nil {
		return fmt.Errorf("%s: %w: expected %s", c.Name(), err, c.Use)
	}
	var names []string
	for _, found := range flagNames.FindAllStringSubmatch(c.Flags().FlagUsages(), -1) {
		names = append(names, found[1])
	}
	hint := didYouMean(unknown[1], names)
	return fmt.Errorf("%s: unknown flag --%s%s: expected %s", c.Name(), unknown[1], strings.Replace(hint, "mean ", "mean --", 1), c.Use)
}

// awaitTyping tells who sits at a terminal that a line is waited for. What is typed
// shows: a program that pipes the password is the better way.
func awaitTyping(c *cobra.Command) {
	if isTerminal(c.InOrStdin()) {
		_, _ = fmt.Fprintln(c.ErrOrStderr(), "Type the password, which shows, and press Enter:")
	}
}

func isTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
