package commands

import "github.com/agent-kanban/agent-kanban/events"

func (d *decision) freezeBoard(c FreezeBoard) ([]decided, error) {
	var check checker
	c.Reason = check.note("reason", c.Reason)
	if err := check.err(); err != nil || d.board.info.Frozen {
		return nil, err
	}
	return d.about(0, events.BoardFrozen{Reason: c.Reason}), nil
}

func (d *decision) unfreezeBoard() ([]decided, error) {
	if !d.board.info.Frozen {
		return nil, nil
	}
	return d.about(0, events.BoardUnfrozen{}), nil
}

// thawed refuses commands on a frozen board, but for people who are pm, and for
// heartbeats: who was stopped keeps what it holds.
func (d *decision) thawed(cmd Command) error {
	if !d.board.info.Frozen || d.meta.Trusted {
		return nil
	}
	if _, beat := cmd.(Heartbeat); beat {
		return nil
	}
	if d.meta.Actor.Kind == events.Human && d.role.May(events.MayManageTickets) {
		return nil
	}
	return events.Errorf(events.CodeFrozen, "Board %s is frozen: a pm has stopped the work on it. Wait until it is unfrozen; heartbeats are still taken.", d.board.info.Key)
}

// agent finds the agent that is to be paused or resumed. An admin may do it, and
// a pm of a board that the agent is a member of.
func (d *decision) agent(ref, board Ref) (int64, *user, error) {
	id, u := d.dir.find(ref)
	if u == nil || u.Kind != events.Agent {
		return 0, nil, events.Errorf(events.CodeNotFound, "There is no agent %s that you may pause.", quote(string(ref)))
	}
	if d.admin() {
		return id, u, nil
	}
	if board != "" {
		at := board.ID()
		if at == 0 {
			at = d.dir.board(board)
		}
		b, role, err := d.boardOf(at)
		if err != nil {
			return 0, nil, err
		}
		if role.May(events.MayManageBoard) && b.role(id) != events.NoRole {
			return id, u, nil
		}
	}
	return 0, nil, events.Errorf(events.CodeForbidden, "Only an admin, or a pm of a board that %s works on, may pause or resume it.", u.Name)
}

func (d *decision) pauseAgent(c PauseAgent) ([]decided, error) {
	id, u, err := d.agent(c.Agent, c.Board)
	if err != nil {
		return nil, err
	}
	var check checker
	c.Reason = check.note("reason", c.Reason)
	if err := check.err(); err != nil || u.Paused {
		return nil, err
	}
	return onUser(id, events.AgentPaused{UserID: id, Reason: c.Reason}), nil
}

func (d *decision) resumeAgent(c ResumeAgent) ([]decided, error) {
	id, u, err := d.agent(c.Agent, c.Board)
	if err != nil || !u.Paused {
		return nil, err
	}
	return onUser(id, events.AgentResumed{UserID: id}), nil
}
