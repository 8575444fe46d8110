package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/joho/godotenv"
)

// dotEnv is read from the working directory.
const dotEnv = ".env"

// readEnv returns the environment over .env: what is set in the environment, be
// it to nothing, wins.
func readEnv() (map[string]string, error) {
	merged, err := godotenv.Read(dotEnv)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &hinted{
			// godotenv's own error repeats the rest of the file, secrets included.
			fmt.Errorf("%s cannot be read: a line is not NAME=value", dotEnv),
			"one NAME=value per line, comments after #",
		}
	}
	if merged == nil {
		merged = make(map[string]string)
	}
	for name, value := range env.ToMap(os.Environ()) {
		merged[name] = value
	}
	return merged, nil
}

// strangers returns an error for each variable in .env that nobody here reads:
// a misspelt one must not be ignored. The environment itself is not checked, it
// belongs to everybody.
func strangers(known []string) []error {
	file, err := godotenv.Read(dotEnv)
	if err != nil {
		return nil // readEnv has reported it
	}
	var errs []error
	names := make([]string, 0, len(file))
	for name := range file {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if slices.Contains(known, name) || foreign(name) {
			continue
		}
		text := name + " in " + dotEnv + " is not a variable of this program"
		if near := nearest(name, known); near != "" {
			text += "; did you mean " + near + "?"
		}
		errs = append(errs, errors.New(text))
	}
	return errs
}

// foreign reports names that share a .env with us by custom.
func foreign(name string) bool {
	for _, prefix := range []string{"OTEL_", "AWS_", "COMPOSE_", "DOCKER_", "KANBAN_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "TZ"
}

// nearest returns the known name that is one or two edits away, "" if none is.
func nearest(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := edits(strings.ToUpper(name), k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// sortErrors orders by text, so that the same mistakes give the same message.
func sortErrors(errs []error) {
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
}
