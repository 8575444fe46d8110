package backup

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Format is the version of the archive.
const Format = "kanban-backup/1"

// Names of entries of an archive.
const (
	manifestName    = "manifest.json"
	databaseName    = "agent_kanban.db"
	recoveredFolder = "recovered"
)

// Manifest is the first entry of an archive: what is in it, as of when.
type Manifest struct {
	Format   string      `json:"format"`
	LogID    string      `json:"log_id"`
	Position int64       `json:"position"` // of the last event, 0 = none
	Hash     events.Hash `json:"hash"`     // of the last event
	Time     time.Time   `json:"time"`     // UTC
	Version  string      `json:"version"`  // of the program
	Schema   int         `json:"schema"`   // number of the last migration
	// Tables holds the number of rows by table.
	Tables map[string]int64 `json:"tables"`
	Files  []File           `json:"files"`
	// Configuration is that of the server, without what is secret.
	Configuration map[string]string `json:"configuration,omitempty"`
}

// File is an entry of an archive.
type File struct {
	Name   string      `json:"name"`
	Size   int64       `json:"size"` // bytes
	SHA256 events.Hash `json:"sha256"`
}

// Head is the end of the log in the archive.
func (m *Manifest) Head() events.Head { return events.Head{Position: m.Position, Hash: m.Hash} }

// Size is how much an extraction writes, in bytes.
func (m *Manifest) Size() int64 {
	var sum int64
	for _, f := range m.Files {
		sum += f.Size
	}
	return sum
}

func (m *Manifest) validate() error {
	if m.Format != Format {
		return fmt.Errorf("the format is %q, this program reads %q", m.Format, Format)
	}
	if m.LogID == "" || m.Position < 0 || len(m.Files) == 0 || m.Files[0].Name != databaseName {
		return fmt.Errorf("%s lacks log_id, position or %s", manifestName, databaseName)
	}
	for i, f := range m.Files {
		if f.Size < 0 || i > 0 && !isRecovered(f.Name) {
			return fmt.Errorf("%s names the file %q, which has no place in a backup", manifestName, f.Name)
		}
	}
	return nil
}

// isRecovered tells recovered/x.jsonl from names that would lead elsewhere.
func isRecovered(name string) bool {
	base, ok := strings.CutPrefix(name, recoveredFolder+"/")
	return ok && path.Base(base) == base && strings.HasSuffix(base, ".jsonl") && !strings.ContainsAny(base, `\:`)
}

// Name is what an archive's name tells.
type Name struct {
	Time      time.Time // UTC, whole seconds
	Position  int64
	Encrypted bool
}

const nameTime = "20060102T150405Z"

func (n Name) String() string {
	ending := ""
	if n.Encrypted {
		ending = ".age"
	}
	return fmt.Sprintf("kanban-%s-%d.tar.zst%s", n.Time.UTC().Format(nameTime), n.Position, ending)
}

var namePattern = regexp.MustCompile(`^kanban-(\d{8}T\d{6}Z)-(0|[1-9]\d{0,18})\.tar\.zst(\.age)?$`)

// ParseName reads the name of an archive; ok is false for names that Create
// does not give.
func ParseName(base string) (n Name, ok bool) {
	part := namePattern.FindStringSubmatch(base)
	if part == nil {
		return n, false
	}
	at, err := time.Parse(nameTime, part[1])
	position, err2 := strconv.ParseInt(part[2], 10, 64)
	n = Name{Time: at, Position: position, Encrypted: part[3] != ""}
	return n, err == nil && err2 == nil && n.String() == base
}
