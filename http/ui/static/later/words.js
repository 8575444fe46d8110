// An event in words: "bob moved WEB-3 to Done".
import { t } from '../lib/strings.js';

// said says what happened; keyOf returns the key of a ticket by its id.
export function said(event, keyOf) {
  const fact = event.data;
  const who = event.actor.name;
  const key = fact?.number && fact.key ? fact.key : event.ticket_id ? keyOf(event.ticket_id) ?? `#${event.ticket_id}` : '';
  if (!fact) return t('did.redacted', { who });
  let type = event.type;
  let name = fact.name ?? fact.key ?? fact.holder ?? fact.column?.name ?? '';
  if (type === 'ticket_moved' && fact.from_column_id === fact.column_id) type = 'ticket_reordered';
  if (type === 'ticket_assigned') {
    if (!fact.assignee) type = 'ticket_unassigned';
    name = fact.assignee;
  }
  const items = fact.items ?? [];
  const text = t(`did.${type}`, { who, key, name, column: fact.column, n: items.length, done: items.filter((x) => x.done).length });
  return text.startsWith('did.') ? t('did.other', { who, key, type: type.replaceAll('_', ' ') }) : text;
}
