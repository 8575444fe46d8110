package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) commentCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "comment",
		Short:   "Comments on tickets: add, list, edit, delete",
		Example: "  kanban comment add WEB-12 \"Works on my machine\"\n  kanban comment list WEB-12",
	})
	cmd.AddCommand(a.commentAdd(), a.commentList(), a.commentEdit(), a.commentDelete())
	return cmd
}

// text is the argument, or standard input where it is "-".
func (a *app) text(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	if a.stdinRead {
		return "", usagef("standard input can be read once: only one text may be -")
	}
	a.stdinRead = true
	text, err := io.ReadAll(io.LimitReader(a.stdin, 1<<20))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return string(text), nil
}

func (a *app) printComment(c *readmodel.Comment) error {
	if a.json {
		return a.printJSON(c)
	}
	_, err := fmt.Fprintf(a.stdout, "#%d %s: %s\n", c.ID, clean(c.Author), cut(clean(c.Text), 100))
	return err
}

func (a *app) commentAdd() *cobra.Command {
	return &cobra.Command{
		Use:     "add TICKET TEXT",
		Short:   "Say something about a ticket; - reads the text from standard input",
		Example: "  kanban comment add WEB-12 \"Works on my machine\"\n  go test ./... 2>&1 | kanban comment add WEB-12 -",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.text(args[1])
			if err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			comment, err := c.AddComment(cmd.Context(), commands.Ref(args[0]), text)
			if err != nil {
				return err
			}
			return a.printComment(&comment)
		},
	}
}

func (a *app) commentList() *cobra.Command {
	return &cobra.Command{
		Use:     "list TICKET",
		Short:   "List what was said about a ticket",
		Example: "  kanban comment list WEB-12 --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			page, err := pages(cmd.Context(), 0, func(ctx context.Context, p client.Paging) (client.Page[readmodel.Comment], error) {
				return c.Comments(ctx, commands.Ref(args[0]), p)
			})
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(page)
			}
			for _, item := range page.Items {
				if _, err := fmt.Fprintf(a.stdout, "#%d %s, %s:\n%s\n\n", item.ID, clean(item.Author), a.ago(item.CreatedAt), cleanText(item.Text)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func commentID(arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("comment %q: want its number, as kanban comment list shows it", arg)
	}
	return id, nil
}

func (a *app) commentEdit() *cobra.Command {
	return &cobra.Command{
		Use:     "edit ID TEXT",
		Short:   "Replace the text of a comment; - reads it from standard input",
		Example: "  kanban comment edit 7 \"Works everywhere\"",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := commentID(args[0])
			if err != nil {
				return err
			}
			text, err := a.text(args[1])
			if err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			comment, err := c.UpdateComment(cmd.Context(), id, text)
			if err != nil {
				return err
			}
			return a.printComment(&comment)
		},
	}
}

func (a *app) commentDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete ID",
		Short:   "Remove a comment from every view",
		Example: "  kanban comment delete 7",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := commentID(args[0])
			if err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			if err := c.DeleteComment(cmd.Context(), id); err != nil {
				return err
			}
			a.note("deleted comment %d", id)
			return nil
		},
	}
}
