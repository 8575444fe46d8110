package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
	"github.com/agent-kanban/agent-kanban/projections"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) verifyCommand() *cobra.Command {
	var headFile string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that the log is whole and unchanged, and that the board is a fold of it",
		Long: `Check every event of the log: positions without gaps, the hash chain, versions
without gaps in each stream, the record of commands; then compare the read
models with a fold of the log. Works while a server runs, and only reads.

A chain cannot tell that its end was cut off. --head FILE can: the first time it
keeps the head of the log in FILE, later it demands that the log still contains
that head, and keeps the new one. Keep FILE somewhere else than the database.

Exits with 1 and names the position where something is wrong.`,
		Example: "  kanban verify\n  kanban verify --head /mnt/safe/kanban-head.json\n  kanban verify --data-dir /var/lib/kanban --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			kept, err := readHead(headFile)
			if err != nil {
				return err
			}
			return a.verify(cmd.Context(), cfg, kept, headFile)
		},
	}
	cmd.Flags().StringVar(&headFile, "head", "", "file that keeps the head of the log from one time to the next")
	return cmd
}

func readHead(path string) (*ops.KeptHead, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var head ops.KeptHead
	if err := json.Unmarshal(text, &head); err != nil || head.LogID == "" {
		return nil, &hinted{fmt.Errorf("%s is no head that kanban verify has kept", path), "another file for --head"}
	}
	return &head, nil
}

func (a *app) verify(ctx context.Context, cfg config, kept *ops.KeptHead, headFile string) error {
	db, err := openToRead(ctx, cfg, a.toolLog())
	if err != nil {
		return err
	}
	defer db.Close()
	v, err := ops.Verify(ctx, db, verifyOptions(db, kept, a.progress("verified")))
	if v == nil || err != nil && v.OK() {
		return err
	}
	if a.json {
		err = a.printJSON(v)
	} else {
		err = a.printVerification(v)
	}
	if err != nil {
		return err
	}
	if !v.OK() {
		return &hinted{fmt.Errorf("the log does not verify: %s found", count(v.Total, "problem")), verifyAdvice(v)}
	}
	if headFile == "" {
		return nil
	}
	return replaceFile(headFile, func(w io.Writer) error {
		return json.NewEncoder(w).Encode(ops.KeptHead{LogID: v.LogID, Position: v.Head.Position, Hash: v.Head.Hash})
	})
}

func (a *app) printVerification(v *ops.Verification) error {
	var b strings.Builder
	for _, p := range v.Problems {
		where := ""
		if p.Position > 0 {
			where = fmt.Sprintf("position %d: ", p.Position)
		}
		fmt.Fprintf(&b, "BAD  %s%s: %s\n", where, p.Check, clean(strings.TrimPrefix(p.Detail, where)))
	}
	if more := v.Total - len(v.Problems); more > 0 {
		fmt.Fprintf(&b, "     and %d more\n", more)
	}
	checks := make([]string, len(v.Checks))
	for i, c := range v.Checks {
		checks[i] = string(c)
	}
	if v.OK() {
		fmt.Fprintf(&b, "ok   %s in %s, head %d %s\n", count(int(v.Events), "event"), count(v.Streams, "stream"), v.Head.Position, v.Head.Hash)
	}
	fmt.Fprintf(&b, "     checked: %s\n", strings.Join(checks, ", "))
	_, err := io.WriteString(a.stdout, b.String())
	return err
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// verifyAdvice depends on what is damaged: rows can be made again, events not.
func verifyAdvice(v *ops.Verification) string {
	for _, p := range v.Problems {
		if p.Check != ops.CheckReadModel && p.Check != ops.CheckCheckpoint {
			return "kanban recover (with the server stopped), which takes what other copies prove; else a backup, in a new data directory"
		}
	}
	return "kanban rebuild (with the server stopped)"
}

// verifyOptions joins the checks of the log with those of what follows it.
func verifyOptions(db *sqlstore.DB, kept *ops.KeptHead, progress ops.Progress) ops.VerifyOptions {
	return ops.VerifyOptions{
		Head: kept, Progress: progress,
		Checkpoints: func(ctx context.Context) (map[string]int64, error) {
			queries, err := readmodel.New(ctx, db.Reader())
			if err != nil {
				return nil, err
			}
			position, err := queries.Position(ctx)
			return map[string]int64{readModel: position}, errors.Join(err, queries.Close())
		},
		Compare: func(ctx context.Context) ([]string, error) { return compareReadModel(ctx, db) },
	}
}

// compareReadModel returns one line per difference between the rows and a fold.
func compareReadModel(ctx context.Context, db *sqlstore.DB) ([]string, error) {
	c, err := projections.Compare(ctx, projections.CompareConfig{Live: db.Reader(), Log: db})
	var stale *projections.StaleError
	if errors.As(err, &stale) {
		return []string{stale.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, d := range c.Differences {
		where := d.Table + " " + d.Key
		if d.Column != "" {
			where += " " + d.Column
		}
		lines = append(lines, fmt.Sprintf("%s: the table says %s, the log %s", where, d.Live, d.Log))
	}
	if c.Parked > 0 {
		lines = append(lines, fmt.Sprintf("%s could not be applied and wait in parked_events; run kanban rebuild", count(int(c.Parked), "event")))
	}
	return lines, nil
}
