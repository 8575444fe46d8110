package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// policyFlags are what a ticket must meet to enter a column.
type policyFlags struct {
	checklist, evidence, approval bool
	allowFrom                     []string
}

func (p *policyFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&p.checklist, "require-checklist", false, "only with a checklist, all of it done")
	flags.BoolVar(&p.evidence, "require-evidence", false, "only with evidence for the work")
	flags.BoolVar(&p.approval, "approval", false, "only what a pm who did not work on it has approved")
	flags.StringSliceVar(&p.allowFrom, "allow-from", nil, "only from this column, by name or id; may be given several times; \"\" = from any")
}

func (p *policyFlags) changed(cmd *cobra.Command) bool {
	flags := cmd.Flags()
	return flags.Changed("require-checklist") || flags.Changed("require-evidence") || flags.Changed("approval") || flags.Changed("allow-from")
}

// over is the policy that there is, changed by the flags that were given; nil
// where none was.
func (p *policyFlags) over(cmd *cobra.Command, have events.Policy) *commands.PolicySpec {
	if !p.changed(cmd) {
		return nil
	}
	spec := commands.PolicySpec{RequireChecklist: have.RequireChecklist, RequireEvidence: have.RequireEvidence, Approval: have.Approval}
	flags := cmd.Flags()
	if flags.Changed("require-checklist") {
		spec.RequireChecklist = p.checklist
	}
	if flags.Changed("require-evidence") {
		spec.RequireEvidence = p.evidence
	}
	if flags.Changed("approval") {
		spec.Approval = p.approval
	}
	if !flags.Changed("allow-from") {
		for _, id := range have.AllowFrom {
			spec.AllowFrom = append(spec.AllowFrom, commands.RefID(id))
		}
	}
	for _, name := range p.allowFrom {
		if name != "" {
			spec.AllowFrom = append(spec.AllowFrom, commands.Ref(name))
		}
	}
	return &spec
}

// policyText says what a column asks for, in the words of the flags.
func policyText(b *readmodel.Board, p events.Policy) string {
	var parts []string
	for _, rule := range []struct {
		name string
		set  bool
	}{{"checklist", p.RequireChecklist}, {"evidence", p.RequireEvidence}, {"approval", p.Approval}} {
		if rule.set {
			parts = append(parts, rule.name)
		}
	}
	if len(p.AllowFrom) > 0 {
		names := make([]string, len(p.AllowFrom))
		for i, id := range p.AllowFrom {
			names[i] = strconv.FormatInt(id, 10)
			for _, c := range b.Columns {
				if c.ID == id {
					names[i] = clean(c.Name)
				}
			}
		}
		parts = append(parts, "from "+strings.Join(names, " or "))
	}
	return orDash(strings.Join(parts, ", "))
}
