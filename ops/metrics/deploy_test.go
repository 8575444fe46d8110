package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	ours   = regexp.MustCompile(`\bkanban_[a-z0-9_]+`)
	quoted = regexp.MustCompile(`"[^"]*"`)
	label  = regexp.MustCompile(`[{,]([a-z_]+)="`)
)

// family is a metric on the page.
type family struct {
	name, kind, help string
	labels           []string // sorted
}

// families reads them from the page, sorted by name.
func families(t *testing.T) []family {
	t.Helper()
	var all []family
	help := ""
	for line := range strings.Lines(page(t, full(t))) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 4)
		switch {
		case len(f) == 4 && f[1] == "HELP":
			help = f[3]
		case len(f) == 4 && f[1] == "TYPE":
			all = append(all, family{name: f[2], kind: f[3], help: help})
		case !strings.HasPrefix(line, "#"):
			last := &all[len(all)-1]
			for _, found := range label.FindAllStringSubmatch(line, -1) {
				if name := found[1]; name != "le" && name != "quantile" && !slices.Contains(last.labels, name) {
					last.labels = append(last.labels, name)
				}
			}
		}
	}
	if len(all) < 30 {
		t.Fatalf("found %d metrics on the page", len(all))
	}
	return all
}

// base is the name of the metric that a name in a query belongs to.
func base(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if short, ok := strings.CutSuffix(name, suffix); ok && !strings.HasSuffix(short, "_total") {
			return short
		}
	}
	return name
}

// A dashboard that asks for what there is not shows an empty panel, an alert
// never fires, and nobody notices either.
func TestDeployedQueriesAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, f := range families(t) {
		known[f.name] = true
	}
	for _, file := range []string{"prometheus/alerts.yml", "prometheus/prometheus.yml", "grafana/kanban.json"} {
		text, err := os.ReadFile(filepath.Join("../../deploy", file))
		if err != nil {
			t.Fatal(err)
		}
		names := ours.FindAllString(string(text), -1)
		if strings.HasSuffix(file, "prometheus.yml") == (len(names) > 0) {
			t.Errorf("%s: found %d names", file, len(names))
		}
		for _, name := range names {
			if !known[name] && !known[base(name)] {
				t.Errorf("%s asks for %s, which is not on the page", file, name)
			}
		}
	}
}

// dashboard is the part of Grafana's format that is checked.
type dashboard struct {
	Panels []struct {
		ID          int
		Type, Title string
		GridPos     struct{ X, Y, W, H int }
		Targets     []struct{ Expr string }
	}
}

// Panels have a query each, do not overlap and have an id of their own; each
// query is about the chosen job and has its brackets closed.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/grafana/kanban.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	taken := map[string]string{}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || (p.Type != "row" && len(p.Targets) == 0) {
			t.Errorf("panel %d %q: its id is taken, or it has no title or no query", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				cell := fmt.Sprint(p.GridPos.X+x, p.GridPos.Y+y)
				if other := taken[cell]; other != "" {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[cell] = p.Title
			}
		}
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s is wider than the page", p.Title)
		}
		for _, q := range p.Targets {
			if !strings.Contains(q.Expr, `job="$job"`) {
				t.Errorf("%s: %s is not about the job", p.Title, q.Expr)
			}
			checkBrackets(t, p.Title, q.Expr)
		}
	}
}

func checkBrackets(t *testing.T, where, expr string) {
	t.Helper()
	var open []rune
	closes := map[rune]rune{')': '(', ']': '[', '}': '{'}
	for _, r := range quoted.ReplaceAllString(expr, "") {
		switch {
		case strings.ContainsRune("([{", r):
			open = append(open, r)
		case closes[r] != 0:
			if len(open) == 0 || open[len(open)-1] != closes[r] {
				t.Fatalf("%s: brackets of %s", where, expr)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%s: brackets of %s", where, expr)
	}
}

// docs/metrics.md has a line for each metric, and no others.
func TestDocumentedMetrics(t *testing.T) {
	t.Parallel()
	const file = "../../docs/metrics.md"
	var want []string
	for _, f := range families(t) {
		if strings.HasPrefix(f.name, "kanban_") {
			want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s | %s |", f.name, f.kind, unit(f.name), strings.Join(f.labels, ", "), f.help))
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `kanban_") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	slices.Sort(got)
	if slices.Equal(got, want) {
		return
	}
	t.Errorf("the table in docs/metrics.md is stale; it should be:\n%s", strings.Join(want, "\n"))
}

// unit is what a name says it is in.
func unit(name string) string {
	name = strings.TrimSuffix(name, "_total")
	for _, suffix := range []string{"seconds", "bytes", "events", "position"} {
		if strings.HasSuffix(name, "_"+suffix) {
			return suffix
		}
	}
	return "1"
}
