package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/projections"
)

// readModel is the name of the one set of views: they share a checkpoint, so
// that a query over several of them is never of two minds.
const readModel = "readmodel"

func (a *app) rebuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild [readmodel]",
		Short: "Make the read models anew from the log",
		Long: `Make the read models (boards, columns, members, tickets, comments, history,
users) anew from the log, in shadow tables that take the place of the old ones
in one transaction. Nothing is lost if it is interrupted. The server must be
stopped; it also does this by itself at its start where that is needed.`,
		Example:   "  kanban rebuild\n  kanban rebuild --data-dir /var/lib/kanban --json",
		ValidArgs: []string{readModel},
		Args:      args(cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs)),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			o, err := openToWrite(cmd.Context(), cfg, false, a.toolLog())
			if err != nil {
				return err
			}
			defer o.close()
			draw := a.progress("rebuilt")
			done, err := projections.Rebuild(cmd.Context(), projections.RebuildConfig{
				DB: o.db.Writer(), Update: o.db.UpdateRelaxed, Log: o.db,
				Progress: func(p projections.Progress) {
					if draw != nil {
						draw(p.Position, p.Head)
					}
				},
			})
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					Position  int64   `json:"position"`
					PerSecond float64 `json:"events_per_second"`
				}{done.Position, done.PerSecond})
			}
			_, err = fmt.Fprintf(a.stdout, "rebuilt the read models from %d events (%.0f per second)\n", done.Position, done.PerSecond)
			return err
		},
	}
}
