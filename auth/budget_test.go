package auth

import (
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

func TestAgentsHaveABudget(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *Config) { c.AgentCommands = Limit{Burst: 60, Every: time.Second} })
	robot := Principal{Actor: events.Actor{Kind: events.Agent, ID: 7, Name: "robot"}}
	other := Principal{Actor: events.Actor{Kind: events.Agent, ID: 8, Name: "other"}}
	person := Principal{Actor: events.Actor{Kind: events.Human, ID: 9, Name: "ann"}}
	noError(t, f.AllowCommands(robot, 50))
	want := Budget{Limit: 60, Remaining: 10, Window: time.Minute, Reset: 50 * time.Second}
	if got := f.CommandBudget(robot); got != want {
		t.Errorf("budget is %+v, want %+v", got, want)
	}
	err := f.AllowCommands(robot, 30)
	mustBe(t, "more than is left", err, events.CodeRateLimited, "budget as an agent: 60 commands in a minute. Try again in 20s")
	if got := retryAfter(err); got != 20*time.Second {
		t.Errorf("RetryAfter is %v, want 20s", got)
	}
	noError(t, f.AllowCommands(robot, 10)) // the refused ones cost nothing
	noError(t, f.AllowCommands(other, 60))
	noError(t, f.AllowCommands(person, 1_000_000))
	if got := f.CommandBudget(person); got != (Budget{}) {
		t.Errorf("a person has the budget %+v, want none", got)
	}
	// A list of more than the budget is possible, and uses all of it.
	f.clock.advance(59 * time.Second)
	mustBe(t, "a long list too early", f.AllowCommands(robot, 1000), events.CodeRateLimited, "Try again in 1s")
	f.clock.advance(time.Second)
	noError(t, f.AllowCommands(robot, 1000))
	mustBe(t, "after a long list", f.AllowCommands(robot, 1), events.CodeRateLimited, "Try again in 1s")
}

func TestBudgetIsOff(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *Config) { c.AgentCommands = Limit{Burst: -1} })
	robot := Principal{Actor: events.Actor{Kind: events.Agent, ID: 7, Name: "robot"}}
	noError(t, f.AllowCommands(robot, 1_000_000))
	if got := f.CommandBudget(robot); got != (Budget{}) {
		t.Errorf("budget is %+v, want none", got)
	}
}
