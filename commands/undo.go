package commands

func (w *work) undoCommand(c *call, cmd UndoCommand) error { return nil }
func (w *work) undoActor(c *call, cmd UndoActor) error     { return nil }
