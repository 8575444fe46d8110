// What a swimlane is: which one a ticket is in, what it becomes in another, their names.
import { t } from '../lib/strings.js';

export const LANES = ['assignee', 'priority', 'label'];
const PRIORITIES = ['urgent', 'high', 'medium', 'low'];

// laneOf is the name of a ticket's lane; '' = nobody, or no label.
export function laneOf(ticket, by) {
  switch (by) {
    case 'assignee': return ticket.assignee ?? '';
    case 'priority': return ticket.priority;
    case 'label': return ticket.labels[0] ?? '';
    default: return null;
  }
}

// laneFields is what a ticket becomes in a lane.
export function laneFields(ticket, by, lane) {
  if (lane === null || lane === undefined || laneOf(ticket, by) === lane) return {};
  if (by === 'assignee') return { assignee: lane || null };
  if (by === 'priority') return { priority: lane };
  return {};
}

// laneNames orders lanes: all priorities, else by name with "none" at the end.
export function laneNames(by, counts) {
  if (by === 'priority') return PRIORITIES;
  const names = [...counts.keys()].filter(Boolean).sort((a, b) => a.localeCompare(b));
  return counts.has('') || !names.length ? [...names, ''] : names;
}

export function laneTitle(by, lane) {
  if (by === 'priority') return t(`priority.${lane}`);
  return lane || t(by === 'assignee' ? 'filter.nobody' : 'lanes.no_label');
}
