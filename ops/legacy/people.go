package legacy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// person is somebody whom the file names.
type person struct {
	name    string // user name in the log
	display string // as the file has it
	kind    events.ActorKind
	first   time.Time // registered then
	account *user     // nil where only the name is known
}

// people collects everybody. Names that differ only in case are one person,
// because user names are compared that way.
type people struct {
	byName map[string]*person // by lower-case name
	order  []*person
}

// accounts takes the users of the file.
func (p *plan) accounts(users []user) {
	for i := range users {
		u := &users[i]
		if u.name == "" {
			p.find(Finding{Trouble: BadName, Row: row("users", u.id), Detail: "a user without a name was left out"})
			continue
		}
		who := p.person(u.name, p.time(u.created))
		if who == nil {
			p.find(Finding{Trouble: BadName, Row: row("users", u.id), Found: u.name, Detail: "the name belongs to the server itself; the user was left out"})
			continue
		}
		who.kind, who.account = events.Human, u
		role := strings.ToUpper(u.role)
		if u.superuser {
			role = strings.TrimPrefix(role+" and superuser", " and ")
		}
		if role != "" {
			p.report.Privileges = append(p.report.Privileges, Privilege{User: who.name, Was: role})
		}
		p.report.Counts.Users++
	}
}

// person returns whom a name stands for, nil for the system and for nobody, and
// sees to it that they are registered at the given time at the latest.
func (p *plan) person(text string, at time.Time) *person {
	name := cut(line(text), commands.MaxUserName)
	if numeric(name) { // a number would be taken for the id of a user
		name = "user " + name
	}
	key := strings.ToLower(name)
	if key == "" || key == events.SystemActor.Name {
		return nil
	}
	who := p.people.byName[key]
	if who == nil {
		who = &person{name: name, display: name, kind: events.Human, first: at}
		if agentLike(name) {
			who.kind = events.Agent
		}
		p.people.byName[key] = who
		p.people.order = append(p.people.order, who)
		if name != text {
			p.find(Finding{Trouble: BadName, Found: text, Now: name, Detail: fmt.Sprintf("the name %q is now %q", text, name)})
		}
	} else if who.display != name && !p.alias[name] {
		p.alias[name] = true
		p.find(Finding{Trouble: BadName, Found: name, Now: who.name, Detail: fmt.Sprintf("%q is taken for %q: names do not differ by case", name, who.name)})
	}
	if at.Before(who.first) {
		who.first = at
	}
	return who
}

// register plans the registrations, oldest first, and what follows from them.
func (p *plan) register() {
	slices.SortStableFunc(p.people.order, func(a, b *person) int { return a.first.Compare(b.first) })
	for _, who := range p.people.order {
		if who.account == nil {
			p.report.Counts.Names++
		}
		p.add(step{
			at: who.first, rank: rankPeople, row: "person/" + strings.ToLower(who.name), who: who, create: createPerson,
			build: func(*run) commands.Command {
				return commands.RegisterUser{Name: who.name, DisplayName: who.display, Kind: who.kind}
			},
		})
		if who.account != nil && who.account.inactive {
			p.add(step{
				at: later(who.first, who.account.updated), rank: rankLast, row: "inactive/" + strings.ToLower(who.name),
				build: func(r *run) commands.Command { return commands.DeactivateUser{UserID: r.users[who]} },
			})
		}
	}
}
