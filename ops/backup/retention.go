package backup

import (
	"fmt"
	"slices"
	"time"
)

// How many backups stay: the last one of each of so many days, weeks (ISO) and
// months that have one. Days without a backup do not count, so a server that
// stood still for a year loses none.
const (
	KeepDaily   = 30
	KeepWeekly  = 12
	KeepMonthly = 12
	// KeepAll is how long each of them stays, also several of a day: whoever took
	// one before an upgrade finds it after it.
	KeepAll = 48 * time.Hour
)

// Expired returns which of the files, by name, retention no longer keeps. The
// newest is always kept, and so is every name that Create does not give. Times
// are those in the names: what a copy or a restore did to a file's own does not
// matter.
func Expired(names []string, now time.Time) []string {
	type dated struct {
		text string
		Name
	}
	var ours []dated
	for _, text := range names {
		if n, ok := ParseName(text); ok {
			ours = append(ours, dated{text, n})
		}
	}
	slices.SortStableFunc(ours, func(a, b dated) int { return b.Time.Compare(a.Time) })
	periods := []struct {
		most int
		of   func(t time.Time) string
		seen map[string]bool
	}{
		{KeepDaily, func(t time.Time) string { return t.Format(time.DateOnly) }, map[string]bool{}},
		{KeepWeekly, func(t time.Time) string { year, week := t.ISOWeek(); return fmt.Sprint(year, "/", week) }, map[string]bool{}},
		{KeepMonthly, func(t time.Time) string { return t.Format("2006-01") }, map[string]bool{}},
	}
	var expired []string
	for i, file := range ours {
		keep := i == 0 || now.Sub(file.Time) < KeepAll
		for _, p := range periods {
			period := p.of(file.Time)
			if !p.seen[period] && len(p.seen) < p.most {
				p.seen[period] = true
				keep = true
			}
		}
		if !keep {
			expired = append(expired, file.text)
		}
	}
	return expired
}
