// How old a card is, by what its column is used to.
import { span, t } from '../lib/strings.js';

// ageOf compares how long a ticket has been in its column with those that left it: fresh
// up to the median, slow up to the 85th percentile, late beyond. Columns of kind backlog
// and done have no age, and neither has a column that fewer than five have left.
export function ageOf(ticket, column, ages, at) {
  const seconds = (at - new Date(ticket.column_entered_at).getTime()) / 1000;
  const a = ages.get(column?.id);
  const time = span(seconds);
  if (!column || column.kind === 'backlog' || column.kind === 'done') return { level: '', title: t('card.age', { time }), time, seconds };
  if (!a || a.n < 5) return { level: 'none', title: t('card.age', { time }), time, seconds };
  const level = seconds > a.p85 ? 'late' : seconds > a.p50 ? 'slow' : 'fresh';
  return { level, title: t(`card.age_${level}`, { time, p50: span(a.p50), p85: span(a.p85) }), time, seconds };
}
