package http

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (s *Server) timeRoutes() {
	const tag, base = "boards", "/api/boards"
	register(s, op{method: "GET", path: base + "/{id}/snapshot", id: "board_snapshot", summary: "Board, columns and tickets, now or as of a position or time", tag: tag, reply: readmodel.Snapshot{}},
		func(c *call, in *struct {
			BoardPath
			At string `query:"at" doc:"Position or RFC 3339 time"`
		},
		) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			if in.At == "" {
				return s.snapshot(c.ctx(), id)
			}
			return s.snapshotAt(c.ctx(), id, in.At)
		})
	register(s, op{method: "GET", path: base + "/{id}/diff", id: "board_diff", summary: "What differs between two instants, and who changed it", tag: tag, reply: boardDiff{}},
		func(c *call, in *struct {
			BoardPath
			From string `query:"from" required:"true" doc:"Position or RFC 3339 time"`
			To   string `query:"to" doc:"Position or RFC 3339 time; now if empty"`
		},
		) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			d, err := s.diff(c.ctx(), id, in.From, in.To)
			return answer{view: d}, err
		})
}

// boardAt reads a position or a time, and the board as of then.
func (s *Server) boardAt(ctx context.Context, board int64, field, text string) (readmodel.Snapshot, error) {
	if pos, err := strconv.ParseInt(text, 10, 64); err == nil && pos >= 0 {
		if pos == 0 { // before everything; to the Timeline 0 is now
			return readmodel.Snapshot{}, errNotYet
		}
		return s.deps.Timeline.BoardAt(ctx, board, pos, time.Time{})
	}
	// A plus sign in a query string arrives as a space.
	at, err := time.Parse(time.RFC3339Nano, strings.Replace(text, " ", "+", 1))
	if err != nil {
		return readmodel.Snapshot{}, &events.Error{
			Code: events.CodeInvalid, Message: field + " must be a position or a time like 2025-08-15T00:00:00Z.",
			Fields: map[string]string{field: "must be a position or an RFC 3339 time"},
		}
	}
	return s.deps.Timeline.BoardAt(ctx, board, 0, at)
}

var errNotYet = events.Errorf(events.CodeNotFound, "The board did not exist at that time.")

// snapshot answers with the board as it is.
func (s *Server) snapshot(ctx context.Context, board int64) (answer, error) {
	return s.keep(ctx, keptKey{board, "snapshot"}, keeping{
		read: func(ctx context.Context) (any, int64, error) {
			shot, err := s.deps.Queries.Snapshot(ctx, board)
			return shot, shot.Position, err
		},
		stamp: func(ctx context.Context) (string, int64, error) { return s.deps.Queries.BoardStamp(ctx, board) },
	})
}

// snapshotAt answers with the board as it was. What is over by now stays as it is.
func (s *Server) snapshotAt(ctx context.Context, board int64, at string) (answer, error) {
	pos, err := strconv.ParseInt(at, 10, 64)
	past := err == nil && pos <= s.deps.Watermark.Position()
	return s.keep(ctx, keptKey{board, "at " + at}, keeping{past: past, read: func(ctx context.Context) (any, int64, error) {
		shot, err := s.boardAt(ctx, board, "at", at)
		return shot, shot.Position, err
	}})
}
