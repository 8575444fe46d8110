package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

func (a *app) ticketPlan() *cobra.Command {
	var board string
	cmd := &cobra.Command{
		Use:   "plan FILE",
		Short: "Create many tickets with their dependencies in one call: all or none",
		Long: `Create the tickets of a JSON list, all or none. Each has the fields of a new
ticket: title, description, acceptance_criteria, priority, labels, assignee,
due_at, column, checklist, depends_on; board is needed where --board does not say
it. "as" names a ticket for the ones after it in the list, which write "$name" in
depends_on. - reads the list from standard input.`,
		Example: `  kanban ticket plan plan.json --board WEB
  kanban ticket plan - --board WEB <<'END'
  [{"as": "schema", "title": "Write the schema", "checklist": ["has a migration"]},
   {"title": "Write the API", "priority": "high", "depends_on": ["$schema"]}]
  END`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.readPlan(args[0], commands.Ref(board))
			if err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			done, err := c.Run(cmd.Context(), list...)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(done)
			}
			made := 0
			for i := range done.Events {
				fact, err := done.Events[i].Payload()
				if created, ok := fact.(events.TicketCreated); err == nil && ok {
					made++
					fmt.Fprintf(a.stdout, "%s  %s  [%s]\n", created.Key, clean(created.Title), clean(created.Column))
				}
			}
			a.note("created %d tickets in one command, undone by: kanban undo %s", made, done.Events[0].CommandID)
			return nil
		},
	}
	cmd.Flags().StringVarP(&board, "board", "b", "", "board of the tickets that do not name one")
	return cmd
}

// readPlan reads a JSON list of tickets; an unknown field is a mistake and not
// something to skip.
func (a *app) readPlan(path string, board commands.Ref) ([]commands.Command, error) {
	text, err := a.readFile(path)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var tickets []commands.CreateTicket
	if err := dec.Decode(&tickets); err != nil {
		return nil, usagef("%s is no JSON list of tickets: %w", nameOf(path), err)
	}
	if len(tickets) == 0 || len(tickets) > commands.MaxBatch {
		return nil, usagef("%s has %d tickets; want 1 to %d", nameOf(path), len(tickets), commands.MaxBatch)
	}
	list := make([]commands.Command, len(tickets))
	for i := range tickets {
		if tickets[i].Board == "" {
			tickets[i].Board = board
		}
		if tickets[i].Board == "" {
			return nil, usagef("ticket %d of %s does not say on which board: give --board KEY", i+1, nameOf(path))
		}
		list[i] = tickets[i]
	}
	return list, nil
}

func (a *app) readFile(path string) ([]byte, error) {
	if path == "-" {
		text, err := a.text(path)
		return []byte(text), err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, usagef("%w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	return text, nil
}

func nameOf(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}
