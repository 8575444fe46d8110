// What the figures share: plurals, and the colour of a column.
import { number, t } from '../../lib/strings.js';

export const tickets = (n) => t(n === 1 ? 'flow.ticket' : 'flow.tickets', { n: number(n) });

const COLOURS = { backlog: 'line-strong', active: 'accent', blocked: 'red-mark', review: 'amber-mark', done: 'green-mark' };

// kindColour gives a column the colour of its kind; columns of one kind are told
// apart by their strength. The result takes an alpha.
export function kindColour(c, columns, column) {
  const same = columns.filter((x) => x.kind === column.kind);
  const weaker = 1 - (0.6 * same.findIndex((x) => x.id === column.id)) / Math.max(1, same.length);
  return (alpha) => c.of(COLOURS[column.kind], alpha * weaker);
}

// working are the columns that count as work in progress.
export const working = (flow) => flow.columns.filter((x) => !x.removed && ['active', 'blocked', 'review'].includes(x.kind));
