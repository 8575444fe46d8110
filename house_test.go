// Package house_test holds the law of the house: imports point at events, and
// only cmd knows everyone. CONTRIBUTING.md tells the reasons.
package house_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/agent-kanban/agent-kanban/"

// mayImport says, for each package, which of ours it may import (tests aside).
var mayImport = map[string][]string{
	"events":           {},
	"events/sqlstore":  {"events", "migrations"},
	"events/storetest": {"events"},
	"events/bus":       {"events"},
	"commands":         {"events", "commands/rank"},
	"commands/rank":    {},
	"projections":      {"events", "readmodel"},
	"readmodel":        {"events", "migrations"},
	"auth":             {"events", "migrations"},
	"http":             {"events", "commands", "readmodel", "auth", "http/live", "http/webhook", "http/ui"},
	"http/live":        {"events", "commands", "readmodel", "auth"},
	"http/webhook":     {"events", "auth"},
	"http/ui":          {},
	"http/client":      {"events", "commands", "readmodel"},
	"http/mcp":         {"events", "commands", "readmodel", "http/client"},
	"ops":              {"events", "commands", "readmodel", "migrations"},
	"ops/legacy":       {"events", "commands"},
	"ops/logs":         {"http"},
	"ops/machine":      {},
	"ops/maintain":     {"ops/machine"},
	"ops/recover":      {"events"},
	"ops/audit":        {},
	"ops/doctor":       {"ops/machine"},
	"ops/metrics":      {"events"},
	"ops/tracing":      {"events", "commands"},
	"ops/monitor":      {"ops/machine"},
	"ops/shared":       {},
	// It works on the database as a file, in places of its own.
	"ops/backup": {"events", "events/sqlstore", "ops", "ops/machine"},
	"ops/demo":   {"events", "commands", "readmodel", "http/client"},
	"embedded":   {},
	"migrations": {},
}

// onlyIn keeps what is far-reaching in one room: everybody else has a func in its
// Config that is called.
var onlyIn = map[string]string{
	"github.com/prometheus/": "ops/metrics",
	"go.opentelemetry.io/":   "ops/tracing",
}

func TestImportsPointAtEvents(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours || strings.HasPrefix(name, "cmd/") {
			continue
		}
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("package %s has no room in the house: give it one above, with the imports it may have", name)
			continue
		}
		seen[name] = true
		for _, path := range p.Imports {
			for prefix, room := range onlyIn {
				if strings.HasPrefix(path, prefix) && name != room {
					t.Errorf("%s imports %s; only %s may", name, path, room)
				}
			}
			if dep, ours := strings.CutPrefix(path, module); ours && !slices.Contains(allowed, dep) {
				t.Errorf("%s imports %s; it may import only %v", name, dep, allowed)
			}
		}
	}
	for name := range mayImport {
		if !seen[name] {
			t.Errorf("the house has a room for %s, but there is no such package", name)
		}
	}
}
