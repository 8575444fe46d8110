package commands

import (
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// target finds the board that a command is about; about is false for commands
// on users and for CreateBoard.
func (w *work) target(c *call, cmd Command) (board int64, about bool, err error) {
	onBoard, onTicket := cmd.target()
	keyed := w.state.directory.board
	switch {
	case onBoard != "":
		if board = onBoard.ID(); board == 0 {
			board = keyed(onBoard)
		}
		return board, true, nil
	case onTicket == "":
		return 0, false, missing(cmd)
	}
	if name, ok := strings.CutPrefix(string(onTicket), "$"); ok {
		ticket, known := c.aliases[name]
		if !known {
			return 0, true, invalid("ticket", "names "+quote(string(onTicket))+", but no earlier command of the list creates a ticket as "+quote(name))
		}
		board, err = w.locate(ticket)
		return board, true, err
	}
	if i := strings.LastIndexByte(string(onTicket), '-'); i > 0 {
		return keyed(onTicket[:i]), true, nil
	}
	if board, err = w.locate(onTicket.ID()); err == nil && board == 0 {
		err = errNoTicket
	}
	return board, true, err
}

// locate finds the board of a ticket, 0 if there is no such ticket.
func (w *work) locate(ticket int64) (int64, error) {
	if board := w.state.located[ticket]; board != 0 || ticket == 0 || ticket >= w.state.directory.NextTicket {
		return board, nil
	}
	for i := range w.pending {
		if w.pending[i].TicketID == ticket {
			return w.pending[i].BoardID, nil
		}
	}
	page, err := w.tx.Read(w.ctx, events.Query{TicketID: ticket, Limit: 1})
	if err != nil || len(page) == 0 {
		return 0, err
	}
	w.state.locate(ticket, page[0].BoardID)
	return page[0].BoardID, nil
}

// missing refuses a command that must name its board or ticket and does not.
func missing(cmd Command) error {
	switch cmd.(type) {
	case CreateBoard, RegisterUser, UpdateUser, DeactivateUser, IssueToken, RevokeToken, ImportLog, PauseAgent, ResumeAgent:
		return nil
	case CreateTicket:
		return invalid("board", "must be the id or key of a board")
	default:
		return invalid("ticket or board", "must be an id or key")
	}
}
