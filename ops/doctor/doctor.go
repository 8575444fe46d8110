// Package doctor runs a list of checks on an installation and says for each how
// it is and what to do. It knows the machine (files, disk, certificates); checks
// that need the log are handed in. Checks only read; a repair is made where it
// was asked for and loses nothing.
//
//	report := doctor.Run(ctx, []doctor.Check{doctor.Disk(dir, needed), mine}, false)
//	if report.Worst != doctor.OK { … }
package doctor

import (
	"context"
	"fmt"
	"time"
)

// Level says how bad a finding is.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn" // works, and needs attention
	Fail Level = "FAIL" // does not work, or is not safe
)

var order = map[Level]int{OK: 0, Warn: 1, Fail: 2}

// Finding is what a check says.
type Finding struct {
	Level  Level  `json:"level"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"` // what to do, "" where nothing is
}

// Okay, Warning and Failure make findings.
func Okay(format string, args ...any) Finding {
	return Finding{Level: OK, Detail: fmt.Sprintf(format, args...)}
}

// Warning is a finding that needs attention; hint says what to do.
func Warning(hint, format string, args ...any) Finding {
	return Finding{Level: Warn, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// Failure is a finding that must not stay; hint says what to do.
func Failure(hint, format string, args ...any) Finding {
	return Finding{Level: Fail, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// Check is one thing to look at.
type Check struct {
	Name string
	// Look only reads.
	Look func(ctx context.Context) Finding
	// Repair mends what Look found, without losing anything, and says what it
	// did. It is nil where a person has to decide.
	Repair func(ctx context.Context) (did string, err error)
}

// Result is what became of a check: the finding after a repair, if there was one.
type Result struct {
	Check string `json:"check"`
	Finding
	Repaired string        `json:"repaired,omitempty"`
	Took     time.Duration `json:"took_ns"`
}

// Report is the result of Run. Worst is the highest level in it.
type Report struct {
	Worst   Level    `json:"worst"`
	Results []Result `json:"results"`
}

// Run makes every check. With repair it mends what it can and looks again.
func Run(ctx context.Context, checks []Check, repair bool, done func(Result)) Report {
	report := Report{Worst: OK, Results: []Result{}}
	for _, c := range checks {
		start := time.Now()
		r := Result{Check: c.Name, Finding: c.Look(ctx)}
		if repair && r.Level != OK && c.Repair != nil {
			did, err := c.Repair(ctx)
			r.Finding = c.Look(ctx)
			if r.Repaired = did; err != nil {
				r.Level, r.Detail = Fail, fmt.Sprintf("%s; the repair failed: %v", r.Detail, err)
			}
		}
		r.Took = time.Since(start)
		report.Results = append(report.Results, r)
		if order[r.Level] > order[report.Worst] {
			report.Worst = r.Level
		}
		if done != nil {
			done(r)
		}
	}
	return report
}
