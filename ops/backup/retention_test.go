package backup_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

func TestRetention(t *testing.T) {
	t.Parallel()
	// Given one backup every day for three years, with retention after each.
	var have []string
	now := time.Date(2023, 1, 1, 2, 0, 0, 0, time.UTC)
	for day := range 3 * 365 {
		now = now.AddDate(0, 0, 1)
		have = append(have, backup.Name{Time: now, Position: int64(day)}.String())
		gone := backup.Expired(have, now)
		have = slices.DeleteFunc(have, func(name string) bool { return slices.Contains(gone, name) })
	}
	// Then there are the last 30 days, and at least 12 weeks and 12 months back.
	oldest, _ := backup.ParseName(have[0])
	if days := now.Sub(oldest.Time).Hours() / 24; days < 330 || days > 370 {
		t.Errorf("the oldest is %.0f days old", days)
	}
	if n := len(have); n < 30+8+9 || n > backup.KeepDaily+backup.KeepWeekly+backup.KeepMonthly {
		t.Errorf("%d backups are kept", n)
	}
	for back := range 30 {
		name := backup.Name{Time: now.AddDate(0, 0, -back), Position: int64(3*365 - 1 - back)}.String()
		if !slices.Contains(have, name) {
			t.Errorf("%s is gone", name)
		}
	}
}

// Whatever there is: the newest stays, what is not ours stays, what is young
// stays, and a second time there is nothing to do.
func TestRetentionProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 8, 15, 2, 0, 0, 0, time.UTC)
		ours := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			back := time.Duration(rapid.IntRange(-3600, 4*365*86400).Draw(t, "seconds back")) * time.Second
			return backup.Name{Time: now.Add(-back), Position: rapid.Int64Range(0, 9).Draw(t, "position"), Encrypted: rapid.Bool().Draw(t, "age")}.String()
		}), 0, 200).Draw(t, "ours")
		others := rapid.SliceOf(rapid.SampledFrom([]string{
			"agent_kanban_20250101.db", "kanban-20200101T000000Z-1.tar.zst.part", "kanban-20200101T000000Z-01.tar.zst", "kanban-20201301T000000Z-1.tar.zst",
			"kanban-20200101T000000Z--1.tar.zst", "my-kanban-20200101T000000Z-1.tar.zst", "", "notes.txt", "kanban-20200101T000000Z-1.tar.zst.age.sig",
		})).Draw(t, "others")
		all := append(append([]string{}, ours...), others...)
		gone := backup.Expired(all, now)
		left := slices.DeleteFunc(slices.Clone(all), func(n string) bool { return slices.Contains(gone, n) })
		for _, name := range gone {
			n, ok := backup.ParseName(name)
			if !ok || slices.Contains(others, name) {
				t.Fatalf("%q is not ours, and was to go", name)
			}
			if now.Sub(n.Time) < backup.KeepAll {
				t.Fatalf("%q is too young to go", name)
			}
		}
		if len(ours) > 0 {
			newest := slices.MaxFunc(ours, func(a, b string) int { return strings.Compare(a[:23], b[:23]) })
			if !slices.ContainsFunc(left, func(n string) bool { return strings.HasPrefix(n, newest[:23]) }) {
				t.Fatalf("the newest, %s, was to go", newest)
			}
		}
		if again := backup.Expired(left, now); len(again) > 0 {
			t.Fatalf("a second time %v were to go", again)
		}
	})
}
