package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirm asks before something that cannot be undone from here. A program that
// calls has nobody to ask, so it must say --yes.
func (a *app) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if _, ok := terminal(a.stdin); !ok {
		return usagef("%s There is nobody to ask here: add --yes", question)
	}
	fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	default:
		return &hinted{fmt.Errorf("nothing was done"), ""}
	}
}

// password reads one without showing it, or the first line of what is piped in.
// twice asks again, for a password that is being set.
func (a *app) password(prompt string, twice bool) (string, error) {
	f, isFile := a.stdin.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(a.stdin).ReadString('\n')
		if err != nil && (err != io.EOF || line == "") {
			return "", usagef("there is no password on standard input")
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	read := func(prompt string) (string, error) {
		fmt.Fprint(a.stderr, prompt+": ")
		text, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.stderr)
		return string(text), err
	}
	first, err := read(prompt)
	if err != nil || !twice {
		return first, err
	}
	second, err := read("Once more")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", usagef("the two passwords differ")
	}
	return first, nil
}
