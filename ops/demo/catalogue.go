package demo

import (
	"fmt"
	"math/rand/v2"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// feature is something a web shop is to have; its steps become tickets that
// wait for each other.
type feature struct{ name, area, why string }

var features = []feature{
	{"sign-in by e-mail link", "accounts", "Half of the support mail is about forgotten passwords."},
	{"guest checkout", "checkout", "One buyer in four leaves when asked for an account."},
	{"order history", "accounts", "People ask for invoices of last year."},
	{"gift cards", "payments", "The shops in town sell them; the web shop cannot take them."},
	{"stock warnings", "warehouse", "We sold eleven bicycles that were not there."},
	{"product search", "catalogue", "A search for \"rain coat\" finds rain boots only."},
	{"returns", "orders", "A return takes three e-mails and a week."},
	{"delivery tracking", "orders", "Where is my parcel? is the most common question."},
	{"discount codes", "payments", "Marketing writes them into the footer and hopes."},
	{"wish lists", "catalogue", "Asked for in every survey since spring."},
}

// step is one kind of work on a feature; after are the steps it waits for.
type step struct {
	title, description, label string
	checklist                 []string
	after                     []int
}

var steps = []step{
	{
		"Design the data for %s", "Tables, what may be null, and what happens to rows that are there already.", "backend",
		[]string{"a migration that can be run twice", "the old rows keep their meaning"},
		nil,
	},
	{
		"API for %s", "Routes, errors and limits. Write down what a client may rely on.", "backend",
		[]string{"refusals say what to do", "documented with an example"},
		[]int{0},
	},
	{
		"Page for %s", "Works with the keyboard alone and on a small screen.", "frontend",
		[]string{"keyboard and screen reader", "fits a phone", "no request on the critical path"},
		[]int{1},
	},
	{
		"End-to-end tests of %s", "The ways through that people take, and the three that broke last time.", "quality",
		[]string{"the happy path", "a lost connection in the middle"},
		[]int{1, 2},
	},
	{
		"Help page about %s", "For people, not for us. One screen.", "docs",
		[]string{"read by somebody from support"},
		[]int{1},
	},
}

// plan is so many tickets for a board, each after those it waits for. One in
// three features waits for a step of the feature before it.
func plan(board commands.Ref, count int, rng *rand.Rand) []commands.Command {
	list := make([]commands.Command, 0, count)
	order := rng.Perm(len(features))
	name := func(feature, step int) string { return fmt.Sprintf("f%d-%d", feature, step) }
	for f := 0; len(list) < count; f++ {
		feature := features[order[f%len(order)]]
		what := feature.name
		if round := f / len(order); round > 0 {
			what = fmt.Sprintf("%s, part %d", what, round+1)
		}
		urgency := rng.IntN(10)
		crossing := f > 0 && rng.IntN(3) == 0
		for s := 0; s < len(steps) && len(list) < count; s++ {
			step := steps[s]
			ticket := commands.CreateTicket{
				Board: board, Title: fmt.Sprintf(step.title, what), Description: step.description + "\n\n" + feature.why,
				Priority: priority(urgency, rng), Labels: []string{feature.area, step.label}, Checklist: step.checklist, As: name(f, s),
			}
			for _, before := range step.after {
				ticket.DependsOn = append(ticket.DependsOn, commands.Ref("$"+name(f, before)))
			}
			if crossing && s == 0 {
				ticket.DependsOn = append(ticket.DependsOn, commands.Ref("$"+name(f-1, rng.IntN(2))))
			}
			list = append(list, ticket)
		}
	}
	return list
}

// priority is much the same for the tickets of one feature.
func priority(urgency int, rng *rand.Rand) events.Priority {
	switch n := urgency + rng.IntN(4); {
	case n >= 11:
		return events.Urgent
	case n >= 8:
		return events.High
	case n >= 3:
		return events.Medium
	default:
		return events.Low
	}
}

var (
	openings = []string{"Reading the code first.", "On it.", "Starting with the tests.", "Looks straightforward; starting."}
	findings = []string{
		"Found an old workaround for this; taking it out.", "The staging data has a case nobody wrote down; covered now.",
		"Half done. The rest is wiring.", "Had to touch the shared form code; see the commit.",
	}
	reasons = []string{
		"Needs a key for the payment sandbox that I do not have.", "The description contradicts the design; somebody should decide.",
		"The build is red for another reason; giving it back.",
	}
	praises    = []string{"Looks good.", "Tried it on a phone: fine.", "Clear and small. Thank you."}
	complaints = []string{"The error text says nothing.", "Breaks when the list is empty.", "The second criterion is not met on a slow line."}
	names      = []string{"ant", "bee", "cat", "doe", "elk", "fox", "gnu", "hen", "ibis", "jay", "koi", "lynx"}
)

func pick(rng *rand.Rand, list []string) string { return list[rng.IntN(len(list))] }

// agentName gives each agent a short name of its own.
func agentName(i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s%d", names[i%len(names)], i/len(names)+1)
}
