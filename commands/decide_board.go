package commands

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// DefaultColumns are those of a board that asks for none.
var DefaultColumns = []ColumnSpec{
	{Name: "Not Started", Kind: events.Backlog},
	{Name: "In Progress", Kind: events.Active},
	{Name: "Blocked", Kind: events.Blocked},
	{Name: "Ready for QC", Kind: events.Review},
	{Name: "Done", Kind: events.Done},
}

func quote(s string) string { return strconv.Quote(s) }

func (d *decision) createBoard(c CreateBoard) ([]decided, error) {
	if limit := d.meta.Scope; len(limit.Boards) > 0 || limit.Role != events.NoRole && limit.Role != events.PM {
		return nil, events.Errorf(events.CodeForbidden, "This token is limited to its boards and may not create one.")
	}
	if c.Visibility == "" {
		c.Visibility = events.Private
	}
	if c.MaxClaims == 0 {
		c.MaxClaims = 1
	}
	if len(c.Columns) == 0 {
		c.Columns = DefaultColumns
	}
	var check checker
	c.Name = check.line("name", c.Name, MaxName, true)
	check.text("description", c.Description, false)
	check.visibility(c.Visibility)
	check.maxClaims(c.MaxClaims)
	c.Key = strings.ToUpper(strings.TrimSpace(c.Key))
	if c.Key == "" {
		c.Key = d.dir.freeKey(c.Name)
	}
	if !keyPattern.MatchString(c.Key) {
		check.fail("key", "must be 2 to 10 letters and digits, starting with a letter")
	}
	columns := make([]events.Column, len(c.Columns))
	for i, spec := range c.Columns {
		spec.ID = 0
		columns[i] = check.column(spec, events.Column{}, i, len(c.Columns))
		columns[i].ID = int64(i + 1)
	}
	check.columns(columns, c.Columns)
	if err := check.err(); err != nil {
		return nil, err
	}
	if d.dir.Keys[c.Key] != 0 {
		return nil, events.Errorf(events.CodeNameTaken, "Board key %s is taken. Choose another, or leave it out to get one.", c.Key)
	}
	id := d.dir.NextBoard
	if c.ID >= id && d.meta.Trusted {
		id = c.ID
	}
	facts := []decided{{stream: events.BoardStream(id), board: id, fact: events.BoardCreated{
		Key: c.Key, Name: c.Name, Description: c.Description, Visibility: c.Visibility,
		Columns: columns, MaxClaims: c.MaxClaims,
	}}}
	if a := d.meta.Actor; a.ID != 0 {
		facts = append(facts, decided{stream: events.BoardStream(id), board: id, fact: events.MemberAdded{
			UserID: a.ID, Name: a.Name, Role: events.PM,
		}})
	}
	return facts, nil
}

func (d *decision) updateBoard(c UpdateBoard) ([]decided, error) {
	if err := d.open(); err != nil {
		return nil, err
	}
	var check checker
	var f events.BoardUpdated
	info, changed := &d.board.info, false
	if c.Name != nil {
		changed = differs(&f.Name, check.line("name", *c.Name, MaxName, true), info.Name)
	}
	if c.Description != nil {
		changed = differs(&f.Description, check.text("description", *c.Description, false), info.Description) || changed
	}
	if c.Visibility != nil {
		check.visibility(*c.Visibility)
		changed = differs(&f.Visibility, *c.Visibility, info.Visibility) || changed
	}
	if c.MaxClaims != nil {
		check.maxClaims(*c.MaxClaims)
		changed = differs(&f.MaxClaims, *c.MaxClaims, info.MaxClaims) || changed
	}
	if err := check.err(); err != nil || !changed {
		return nil, err
	}
	return d.about(0, f), nil
}

func (d *decision) archiveBoard() ([]decided, error) {
	if d.board.info.Archived {
		return nil, nil
	}
	return d.about(0, events.BoardArchived{}), nil
}

func (d *decision) restoreBoard() ([]decided, error) {
	if !d.board.info.Archived {
		return nil, nil
	}
	return d.about(0, events.BoardRestored{}), nil
}

// column checks one wanted column; was is the one it replaces, the zero Column
// for a new one.
func (c *checker) column(spec ColumnSpec, was events.Column, index, count int) events.Column {
	field := fmt.Sprintf("columns[%d].", index)
	out := events.Column{ID: was.ID, Name: was.Name, Kind: was.Kind, WIPLimit: spec.WIPLimit, Policy: was.Policy}
	if spec.Name != "" || was.ID == 0 {
		out.Name = c.line(field+"name", spec.Name, MaxColumn, true)
	}
	if Ref(out.Name).ID() != 0 {
		c.fail(field+"name", "must not be a number, to tell it from a column's id")
	}
	switch spec.Kind {
	case "":
		if was.ID == 0 {
			out.Kind = KindOf(out.Name, index, count)
		}
	case events.Backlog, events.Active, events.Blocked, events.Review, events.Done:
		out.Kind = spec.Kind
	default:
		c.fail(field+"kind", "must be backlog, active, blocked, review or done")
	}
	if limit := spec.WIPLimit; limit != nil && (*limit < 1 || *limit > MaxWIPLimit) {
		c.fail(field+"wip_limit", "must be between 1 and "+itoa(MaxWIPLimit)+", or null for none")
	}
	return out
}

// columns checks the whole list: how many, that no two share a name, and the
// policies, which may name columns further right.
func (c *checker) columns(columns []events.Column, specs []ColumnSpec) {
	for i := range columns {
		if spec := specs[i].Policy; spec != nil {
			columns[i].Policy = c.policy(fmt.Sprintf("columns[%d].policy.allow_from", i), *spec, columns)
		}
		from := columns[i].Policy.AllowFrom
		left := slices.DeleteFunc(slices.Clone(from), func(id int64) bool {
			return !slices.ContainsFunc(columns, func(c events.Column) bool { return c.ID == id })
		})
		if len(from) > 0 && len(left) == 0 { // an empty list would let everybody in
			c.fail(fmt.Sprintf("columns[%d].policy.allow_from", i), "names only columns that are no longer there; change it too")
		}
		columns[i].Policy.AllowFrom = left
	}
	if len(columns) == 0 || len(columns) > MaxColumns {
		c.fail("columns", "must be 1 to "+itoa(MaxColumns))
	}
	for i, column := range columns {
		for _, other := range columns[:i] {
			if strings.EqualFold(other.Name, column.Name) {
				c.fail(fmt.Sprintf("columns[%d].name", i), "must be unique on the board")
			}
		}
	}
}

// policy resolves the columns that a policy names.
func (c *checker) policy(field string, spec PolicySpec, columns []events.Column) events.Policy {
	out := events.Policy{RequireChecklist: spec.RequireChecklist, RequireEvidence: spec.RequireEvidence, Approval: spec.Approval}
	for _, ref := range spec.AllowFrom {
		at := slices.IndexFunc(columns, func(c events.Column) bool {
			return c.ID == ref.ID() || strings.EqualFold(c.Name, string(ref))
		})
		if at < 0 {
			c.fail(field, "names "+quote(string(ref))+", which is no column of the board")
			continue
		}
		if id := columns[at].ID; !slices.Contains(out.AllowFrom, id) {
			out.AllowFrom = append(out.AllowFrom, id)
		}
	}
	return out
}

// setColumns makes the columns the wanted ones. A column without an id is the
// existing one of that name, or a new one.
func (d *decision) setColumns(specs []ColumnSpec) ([]decided, error) {
	if err := d.open(); err != nil {
		return nil, err
	}
	var check checker
	wanted := make([]events.Column, len(specs))
	keep := map[int64]bool{}
	next := d.board.nextCol
	for i, spec := range specs {
		var was events.Column
		var known bool
		if spec.ID != 0 {
			if was, known = d.board.column(RefID(spec.ID)); !known || was.ID != spec.ID {
				check.fail(fmt.Sprintf("columns[%d].id", i), "is not a column of this board")
				continue
			}
		} else {
			was, known = d.board.columnNamed(spec.Name)
		}
		if known && keep[was.ID] {
			check.fail(fmt.Sprintf("columns[%d].id", i), "is there twice")
			continue
		}
		wanted[i] = check.column(spec, was, i, len(specs))
		if !known {
			wanted[i].ID = next
			next++
		}
		keep[wanted[i].ID] = true
	}
	check.columns(wanted, specs)
	if err := check.err(); err != nil {
		return nil, err
	}
	facts, err := d.columnFacts(wanted)
	return d.about(0, facts...), err
}

// columnFacts finds the facts that lead from the columns there are to the wanted
// ones: removals, then updates, additions and moves, left to right.
func (d *decision) columnFacts(wanted []events.Column) ([]events.Event, error) {
	var facts []events.Event
	now := make([]events.Column, 0, len(wanted))
	for _, c := range d.board.info.Columns {
		if slices.ContainsFunc(wanted, func(w events.Column) bool { return w.ID == c.ID }) {
			now = append(now, c)
			continue
		}
		if err := d.empty(c); err != nil {
			return nil, err
		}
		facts = append(facts, events.ColumnRemoved{ColumnID: c.ID, Name: c.Name})
	}
	for i, want := range wanted {
		at := slices.IndexFunc(now, func(c events.Column) bool { return c.ID == want.ID })
		if at < 0 {
			facts = append(facts, events.ColumnAdded{Column: want, Index: i})
			now = slices.Insert(now, min(i, len(now)), want)
			continue
		}
		if was := now[at]; !equalColumn(was, want) {
			facts = append(facts, events.ColumnUpdated{Column: want, Was: was.Name})
		}
		if at != i {
			facts = append(facts, events.ColumnMoved{ColumnID: want.ID, Index: i})
			now = slices.Insert(slices.Delete(now, at, at+1), i, want)
		}
	}
	return facts, nil
}

func equalColumn(a, b events.Column) bool {
	sameLimit := a.WIPLimit == b.WIPLimit || a.WIPLimit != nil && b.WIPLimit != nil && *a.WIPLimit == *b.WIPLimit
	return sameLimit && a.ID == b.ID && a.Name == b.Name && a.Kind == b.Kind && a.Policy.Equal(b.Policy)
}

// empty refuses to remove a column with tickets in it, or the last one.
func (d *decision) empty(c events.Column) error {
	if n := len(d.board.lanes[c.ID]); n > 0 {
		return events.Errorf(events.CodeColumnNotEmpty, "Column %q has %d tickets inside. Move or archive them first.", c.Name, n)
	}
	return nil
}

// specs is the list of columns as they are, to be changed and set.
func (d *decision) specs() []ColumnSpec {
	specs := make([]ColumnSpec, len(d.board.info.Columns))
	for i, c := range d.board.info.Columns {
		specs[i] = specOf(c)
	}
	return specs
}

// specOf is a column as it is; a nil Policy keeps it.
func specOf(c events.Column) ColumnSpec {
	return ColumnSpec{ID: c.ID, Name: c.Name, Kind: c.Kind, WIPLimit: c.WIPLimit}
}

func (d *decision) addColumn(c AddColumn) ([]decided, error) {
	specs := d.specs()
	index := len(specs)
	if c.Index != nil {
		index = *c.Index
	}
	if index < 0 || index > len(specs) {
		return nil, invalid("index", "must be between 0 and "+itoa(len(specs)))
	}
	if _, taken := d.board.columnNamed(c.Column.Name); taken {
		return nil, invalid("column.name", "must be unique on the board")
	}
	c.Column.ID = 0
	return d.setColumns(slices.Insert(specs, index, c.Column))
}

func (d *decision) updateColumn(spec ColumnSpec) ([]decided, error) {
	specs := d.specs()
	at := slices.IndexFunc(specs, func(s ColumnSpec) bool { return s.ID == spec.ID })
	if at < 0 {
		return nil, invalid("column.id", "is not a column of this board")
	}
	specs[at] = spec
	return d.setColumns(specs)
}

func (d *decision) moveColumn(c MoveColumn) ([]decided, error) {
	column, err := d.target(c.Column)
	if err != nil {
		return nil, err
	}
	specs := d.specs()
	if c.Index < 0 || c.Index >= len(specs) {
		return nil, invalid("index", "must be between 0 and "+itoa(len(specs)-1))
	}
	specs = slices.DeleteFunc(specs, func(s ColumnSpec) bool { return s.ID == column.ID })
	return d.setColumns(slices.Insert(specs, c.Index, specOf(column)))
}

func (d *decision) removeColumn(c RemoveColumn) ([]decided, error) {
	column, err := d.target(c.Column)
	if err != nil {
		return nil, err
	}
	return d.setColumns(slices.DeleteFunc(d.specs(), func(s ColumnSpec) bool { return s.ID == column.ID }))
}

func (d *decision) setMember(c SetMember) ([]decided, error) {
	if !c.Role.Valid() {
		return nil, invalid("role", "must be pm, agent or viewer")
	}
	id, u := d.dir.find(c.User)
	if u == nil || !u.Active && !d.meta.Trusted {
		return nil, invalid("user", "must be an active user or agent")
	}
	was := d.board.role(id)
	switch was {
	case c.Role:
		return nil, nil
	case events.NoRole:
		return d.about(0, events.MemberAdded{UserID: id, Name: u.Name, Role: c.Role}), nil
	case events.PM:
		if err := d.otherPM(id); err != nil {
			return nil, err
		}
	}
	return d.about(0, events.MemberUpdated{UserID: id, Name: u.Name, Role: c.Role, Was: was}), nil
}

func (d *decision) removeMember(c RemoveMember) ([]decided, error) {
	id, u := d.dir.find(c.User)
	was := d.board.role(id)
	if u == nil || was == events.NoRole {
		return nil, events.Errorf(events.CodeNotFound, "%s is not a member of this board.", c.User)
	}
	if was == events.PM {
		if err := d.otherPM(id); err != nil {
			return nil, err
		}
	}
	return d.about(0, events.MemberRemoved{UserID: id, Name: u.Name}), nil
}

// otherPM refuses to leave a board without a pm who is active.
func (d *decision) otherPM(id int64) error {
	for _, m := range d.board.info.Members {
		if u := d.dir.Users[m.UserID]; m.Role == events.PM && m.UserID != id && u != nil && u.Active {
			return nil
		}
	}
	return events.Errorf(events.CodeConflict, "This is the last pm of the board. Make somebody else pm first.")
}

func invalid(field, reason string) error {
	var check checker
	check.fail(field, reason)
	return check.err()
}
