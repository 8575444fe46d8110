package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// patience is how long a press of the tab key may take. What is not there by
// then is not offered, and nothing is said about it.
const patience = 500 * time.Millisecond

// offer returns candidates, each with an explanation after a tab.
type offer func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) []string

// completeArguments makes the shell offer keys and names: what an argument is
// stands in the command's usage line, what a flag takes in its name.
func (a *app) completeArguments(root *cobra.Command) {
	offers := map[string]offer{
		"TICKET": offerTickets, "BOARD": offerBoards, "COLUMN": offerColumns, "AGENT": offerAgents, "USER": offerMembers,
		"ROLE": fixed(string(events.PM), string(events.AgentRole), string(events.ViewerRole)), "ITEM": offerItems,
	}
	flags := map[string]offer{
		"board": offerBoards, "ticket": offerTickets, "on": offerTickets, "depends-on": offerTickets, "before": offerTickets, "after": offerTickets,
		"column": offerColumns, "assignee": offerMembers, "actor": offerMembers,
		"priority": fixed(string(events.Urgent), string(events.High), string(events.Medium), string(events.Low)),
		"kind":     fixed(string(events.Backlog), string(events.Active), string(events.Blocked), string(events.Review), string(events.Done)),
		"role":     fixed(string(events.PM), string(events.AgentRole), string(events.ViewerRole)),
		"evidence": fixed(string(events.Commit)+"=", string(events.Link)+"=", string(events.TestOutput)+"=", string(events.Note)+"="),
		"type":     eventTypes,
	}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if words := strings.Fields(cmd.Use)[1:]; len(words) > 0 && cmd.ValidArgsFunction == nil {
			cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				if len(args) >= len(words) {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				word := strings.Trim(words[len(args)], "[].")
				if word == "FILE" {
					return nil, cobra.ShellCompDirectiveDefault
				}
				return a.offered(cmd, args, offers[word]), cobra.ShellCompDirectiveNoFileComp
			}
		}
		for name, o := range flags {
			if cmd.Flags().Lookup(name) == nil {
				continue
			}
			// It fails only for a flag that does not exist or is completed already.
			_ = cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				return a.offered(cmd, args, o), cobra.ShellCompDirectiveNoFileComp
			})
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// offered asks the server, for a moment.
func (a *app) offered(cmd *cobra.Command, args []string, o offer) []string {
	if o == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), patience)
	defer cancel()
	c, err := a.connect()
	if err != nil {
		return nil
	}
	return o(ctx, c, cmd, args)
}

func fixed(words ...string) offer {
	return func(context.Context, *client.Client, *cobra.Command, []string) []string { return words }
}

func eventTypes(context.Context, *client.Client, *cobra.Command, []string) []string {
	var names []string
	for _, t := range events.Types() {
		names = append(names, string(t))
	}
	return names
}

// explained is a candidate with what it stands for.
func explained(word, text string) string { return word + "\t" + cut(clean(text), 50) }

func offerBoards(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) []string {
	page, err := c.Boards(ctx, client.BoardQuery{Paging: client.Paging{Limit: 100}})
	if err != nil {
		return nil
	}
	var out []string
	for _, b := range page.Items {
		out = append(out, explained(b.Key, b.Name))
	}
	return out
}

func offerTickets(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) []string {
	page, err := c.Tickets(ctx, client.TicketQuery{Board: boardOf(cmd, args), Paging: client.Paging{Limit: 100}})
	if err != nil {
		return nil
	}
	var out []string
	for i := range page.Items {
		if key := page.Items[i].Key; !slices.Contains(args, key) {
			out = append(out, explained(key, page.Items[i].Title))
		}
	}
	return out
}

// boardOf guesses from what was typed so far which board is meant, "" = any.
func boardOf(cmd *cobra.Command, args []string) string {
	if f := cmd.Flags().Lookup("board"); f != nil && f.Value.String() != "" && f.Value.Type() == "string" {
		return f.Value.String()
	}
	if len(args) == 0 {
		return ""
	}
	switch first := strings.Fields(cmd.Use)[1]; {
	case first == "BOARD":
		return args[0]
	case first != "TICKET":
		return ""
	}
	key, _, _ := strings.Cut(args[0], "-")
	if _, err := strconv.ParseInt(key, 10, 64); err == nil {
		return "" // the ticket was named by its number
	}
	return key
}

// boards returns the board that is meant, else all that may be.
func boards(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) []readmodel.Board {
	if key := boardOf(cmd, args); key != "" {
		if b, err := c.Board(ctx, commands.Ref(key)); err == nil {
			return []readmodel.Board{b}
		}
		return nil
	}
	page, err := c.Boards(ctx, client.BoardQuery{Paging: client.Paging{Limit: 20}})
	if err != nil {
		return nil
	}
	return page.Items
}

func offerColumns(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) []string {
	var out []string
	for _, b := range boards(ctx, c, cmd, args) {
		for _, col := range b.Columns {
			if word := explained(col.Name, string(col.Kind)); !slices.Contains(out, word) {
				out = append(out, word)
			}
		}
	}
	return out
}

func offerAgents(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) []string {
	page, err := c.Agents(ctx, commands.Ref(boardOf(cmd, args)))
	if err != nil {
		return nil
	}
	var out []string
	for i := range page.Items {
		out = append(out, explained(page.Items[i].Name, agentState(&page.Items[i])))
	}
	return out
}

func offerMembers(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) []string {
	var out []string
	for _, b := range boards(ctx, c, cmd, args) {
		page, err := c.Members(ctx, commands.RefID(b.ID))
		if err != nil {
			continue
		}
		for _, m := range page.Items {
			if word := explained(m.Name, string(m.Role)); !slices.Contains(out, word) {
				out = append(out, word)
			}
		}
	}
	return out
}

func offerItems(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) []string {
	t, err := c.Ticket(ctx, commands.Ref(args[0]))
	if err != nil {
		return nil
	}
	var out []string
	for _, item := range t.Checklist {
		out = append(out, explained(strconv.FormatInt(item.ID, 10), item.Text))
	}
	return out
}
