package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/ops"
	"github.com/agent-kanban/agent-kanban/ops/legacy"
)

func (a *app) exportCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write the log as JSON lines, to standard output unless FILE is given",
		Long: `Write the whole log as JSON lines: what kanban import makes an identical log of,
with the same id and the same hash at its head. Works while a server runs.
Accounts' passwords and tokens are not part of the log.`,
		Example: "  kanban export log.jsonl\n  kanban export | zstd > log.jsonl.zst",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			db, err := openToRead(ctx, cfg, a.toolLog())
			if err != nil {
				return err
			}
			defer db.Close()
			opts := ops.ExportOptions{Progress: a.progress("exported")}
			if len(args) == 0 || args[0] == "-" {
				_, err := ops.Export(ctx, db, a.stdout, opts)
				return err
			}
			if _, err := os.Stat(args[0]); !errors.Is(err, fs.ErrNotExist) && !force {
				return &hinted{fmt.Errorf("%s exists already", args[0]), "another name, or --force to replace it"}
			}
			var head events.Head
			err = replaceFile(args[0], func(w io.Writer) (err error) {
				head, err = ops.Export(ctx, db, w, opts)
				return err
			})
			if err != nil {
				return err
			}
			return a.printHead("exported", head)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE")
	return cmd
}

func (a *app) printHead(did string, head events.Head) error {
	if a.json {
		return a.printJSON(head)
	}
	_, err := fmt.Fprintf(a.stdout, "%s %d events, head %s\n", did, head.Position, head.Hash)
	return err
}

func (a *app) importCommand() *cobra.Command {
	var format string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Restore an exported log, or take over a database of the system before",
		Long: `Restore what kanban export wrote into an empty data directory (- reads standard
input), or, with --format agent-kanban, take over a database of the Python
system that this program replaces, with its times, actors and history. The
latter may be run twice: what is there already is not doubled. The server must
be stopped.`,
		Example: `  kanban import log.jsonl --data-dir restored
  zstd -dc log.jsonl.zst | kanban import -
  kanban import --format agent-kanban --dry-run old/agent_kanban.db
  kanban import --format agent-kanban old/agent_kanban.db`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch format {
			case "log":
				if dryRun {
					return usagef("--dry-run is for --format agent-kanban; a log is checked before anything of it is kept")
				}
				return a.importLog(cmd.Context(), args[0])
			case "agent-kanban":
				return a.importLegacy(cmd.Context(), args[0], dryRun)
			default:
				return usagef("--format %q: want log or agent-kanban", format)
			}
		},
	}
	cmd.Flags().StringVar(&format, "format", "log", "log (JSON lines of kanban export) or agent-kanban (its SQLite database)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "report what would be imported and repaired, write nothing")
	return cmd
}

func (a *app) importLog(ctx context.Context, name string) error {
	cfg, err := loadConfig(a.dataDir)
	if err != nil {
		return err
	}
	in := a.stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	o, err := openToWrite(ctx, cfg, true, a.toolLog())
	if err != nil {
		return err
	}
	defer o.close()
	head, err := ops.Import(ctx, o.db, in, ops.ImportOptions{Progress: a.progress("imported")})
	if errors.Is(err, ops.ErrNotEmpty) {
		return &hinted{err, "--data-dir with a new directory"}
	}
	if err != nil {
		return err
	}
	return a.printHead("imported", head)
}

func (a *app) importLegacy(ctx context.Context, name string, dryRun bool) error {
	show := func(r *legacy.Report) error {
		if a.json {
			return r.WriteJSON(a.stdout)
		}
		return r.WriteText(a.stdout)
	}
	if dryRun {
		report, err := legacy.Inspect(ctx, name)
		if err != nil {
			return err
		}
		return show(report)
	}
	cfg, err := loadConfig(a.dataDir)
	if err != nil {
		return err
	}
	o, err := openToWrite(ctx, cfg, true, a.toolLog())
	if err != nil {
		return err
	}
	defer o.close()
	seq, err := commands.New(commands.Config{Store: o.db, Logger: a.toolLog()})
	if err != nil {
		return err
	}
	seq.Start()
	defer seq.Stop()
	var opts legacy.Options
	if draw := a.progress("commands"); draw != nil {
		opts.Progress = func(done, total int) { draw(int64(done), int64(total)) }
	}
	report, err := legacy.Import(ctx, name, seq, o.db, opts)
	if err != nil {
		return err
	}
	return show(report)
}
