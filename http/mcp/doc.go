// Package mcp lets language models work on boards: ten tools and two kinds of
// resources of the Model Context Protocol, on standard input and output
// (Serve, for kanban mcp) and as POST /mcp (Handler).
//
// It imports events, commands, readmodel and http/client. The tools are written
// once, against the Go client: so permissions, budgets and refusals are the
// API's own, and the actor is whoever the credential belongs to. In the server
// the client's requests go to the server's own handler in the same process.
//
//	srv, err := kanbanhttp.New(cfg, kanbanhttp.Deps{…, MCP: mcp.Handler(mcp.Config{Version: "1.0"})})
//
//	c, err := client.New(client.Config{URL: url, Token: token})
//	err = mcp.Serve(ctx, mcp.Config{Version: "1.0"}, c, os.Stdin, os.Stdout)
//
// Three rules shape every reply. It is small: at most 8,000 tokens, concise
// unless asked for detail, with a cursor to go on. What others wrote stands
// inside an object named untrusted, with who wrote it, and nowhere else. A
// refusal that the model can do something about is a result with isError, with
// the API's code, what happened, and what to do next.
package mcp
