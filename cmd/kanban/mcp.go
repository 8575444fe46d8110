package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/http/mcp"
)

func (a *app) mcpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "mcp",
		Short: "Serve the board to a language model, over MCP on standard input and output",
		Long: `Serve the board to a language model, over the Model Context Protocol on standard
input and output. A client (Claude Code, an editor, an agent of your own) starts
this program and talks to it; it talks to the server that KANBAN_URL names, as
whoever KANBAN_TOKEN belongs to. Give each agent a token of its own:

  kanban token create builder --agent --board WEB

Clients that speak MCP over HTTP need no program in between: the address is
KANBAN_URL/mcp, with the header "Authorization: Bearer TOKEN".

It ends with its input, or with SIGINT. Only the protocol goes to standard
output; what a person should know goes to standard error.`,
		Example: `  # Claude Code, with this program in between
  claude mcp add kanban -e KANBAN_URL=http://127.0.0.1:18000 -e KANBAN_TOKEN=akb_… -- kanban mcp

  # Claude Code, over HTTP
  claude mcp add --transport http kanban http://127.0.0.1:18000/mcp --header "Authorization: Bearer akb_…"

  # Clients with a file: .mcp.json, claude_desktop_config.json, .cursor/mcp.json
  {"mcpServers": {"kanban": {
    "command": "kanban", "args": ["mcp"],
    "env": {"KANBAN_URL": "http://127.0.0.1:18000", "KANBAN_TOKEN": "akb_…"}
  }}}

  # VS Code: .vscode/mcp.json
  {"servers": {"kanban": {
    "type": "http", "url": "http://127.0.0.1:18000/mcp",
    "headers": {"Authorization": "Bearer akb_…"}
  }}}`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			return mcp.Serve(cmd.Context(), mcp.Config{
				Version: release(), Log: slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
			}, c, a.stdin, a.stdout)
		},
	}
}
