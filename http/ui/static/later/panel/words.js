// Events in words. Each event becomes one or more lines: {icon, text, from, to, body,
// was, note}; was is the text that body took the place of. What was before comes from the older events of the ticket where they do not
// say it themselves.
import { exact, number, span, t } from '../../lib/strings.js';
import { cost } from './approval.js';

const CREATED = new Set(['ticket_created', 'ticket_recovered']);

// before is the value of a field as the older events say, undefined where none does.
// older(i) are the events before the i-th, the nearest first.
function before(older, field) {
  for (const e of older()) {
    if (e.data && (CREATED.has(e.type) || e.type === 'ticket_updated')) {
      if (e.data[field] !== undefined) return e.data[field];
      if (field === 'due_at' && e.data.clear_due) return null;
      if (CREATED.has(e.type)) return null;
    }
  }
  return undefined;
}

function itemsBefore(older) {
  for (const e of older()) {
    if (e.type === 'checklist_changed' && e.data) return e.data.items ?? [];
    if (e.type === 'ticket_recovered') return e.data?.checklist ?? [];
    if (e.type === 'ticket_created') return [];
  }
  return undefined;
}

function updated(fact, older) {
  const lines = [];
  if (fact.title !== undefined) lines.push({ icon: 'edit', text: t('history.title_changed'), from: before(older, 'title'), to: fact.title });
  for (const field of ['description', 'acceptance_criteria']) if (fact[field] !== undefined) lines.push({ icon: 'edit', text: t(`history.${field}`), body: fact[field], was: before(older, field) });
  if (fact.priority !== undefined) {
    const was = before(older, 'priority');
    lines.push({ icon: fact.priority === 'medium' ? 'edit' : fact.priority, text: t('history.priority'), from: was && t(`priority.${was}`), to: t(`priority.${fact.priority}`) });
  }
  if (fact.labels !== undefined) lines.push(...labels(fact.labels, before(older, 'labels')));
  if (fact.due_at) {
    const was = before(older, 'due_at');
    lines.push({ icon: 'due', text: t('history.due'), from: was && exact(was), to: exact(fact.due_at) });
  }
  if (fact.clear_due) lines.push({ icon: 'due', text: t('history.due_cleared') });
  return lines;
}

function labels(now, was) {
  if (was === undefined) return [{ icon: 'edit', text: t('history.labels'), to: now.join(', ') || t('app.nothing') }];
  const added = now.filter((l) => !was?.includes(l));
  const removed = (was ?? []).filter((l) => !now.includes(l));
  const lines = [];
  if (added.length) lines.push({ icon: 'edit', text: t('history.labels_added'), to: added.join(', ') });
  if (removed.length) lines.push({ icon: 'edit', text: t('history.labels_removed'), to: removed.join(', ') });
  return lines.length ? lines : [{ icon: 'edit', text: t('history.labels_order') }];
}

function checklist(items, older) {
  const was = itemsBefore(older);
  const done = items.filter((x) => x.done).length;
  const all = [{ icon: 'checklist', text: t('history.checklist', { done, n: items.length }) }];
  if (!was) return all;
  const old = new Map(was.map((x) => [x.id, x]));
  const lines = [];
  for (const x of items) {
    const o = old.get(x.id);
    old.delete(x.id);
    if (!o) lines.push({ icon: 'add', text: t('history.item_added'), to: x.text });
    else {
      if (o.text !== x.text) lines.push({ icon: 'edit', text: t('history.item_reworded'), from: o.text, to: x.text });
      if (o.done !== x.done) lines.push({ icon: 'checklist', text: t(x.done ? 'history.item_done' : 'history.item_undone'), to: x.text });
    }
  }
  for (const o of old.values()) lines.push({ icon: 'trash', text: t('history.item_removed'), to: o.text });
  return lines.length && lines.length <= 6 ? lines : all;
}

const LINES = {
  ticket_created: (f) => [{ icon: 'add', text: t('history.ticket_created'), to: f.column, body: f.description, note: f.over_limit && t('history.over_limit') }],
  ticket_recovered: (f) => [{ icon: 'history', text: t('history.ticket_recovered'), to: f.column }],
  ticket_updated: updated,
  ticket_moved: (f) => (f.from_column_id === f.column_id
    ? [{ icon: 'move', text: t('history.reordered', { column: f.column }) }]
    : [{ icon: 'move', text: t('history.moved'), from: f.from_column, to: f.column, note: f.over_limit && t('history.over_limit') }]),
  ticket_assigned: (f) => [{ icon: 'person', text: t('history.assigned'), from: f.was || t('panel.nobody'), to: f.assignee || t('panel.nobody') }],
  ticket_archived: () => [{ icon: 'archive', text: t('history.archived') }],
  ticket_restored: (f) => [{ icon: 'history', text: t('history.restored'), to: f.column }],
  ticket_deleted: () => [{ icon: 'trash', text: t('history.deleted') }],
  ticket_claimed: (f) => [{ icon: 'agent', text: t('history.claimed', { time: span(f.lease_seconds) }) }],
  ticket_released: (f) => [{ icon: 'agent', text: t(`history.released_${f.reason}`, { holder: f.holder }), body: f.note }],
  lease_expired: (f) => [{ icon: 'clock', text: t('history.lease_expired', { holder: f.holder }) }],
  dependency_added: (f) => [{ icon: 'blocked', text: t('history.dependency_added', { key: f.key }) }],
  dependency_removed: (f) => [{ icon: 'check', text: t('history.dependency_removed', { key: f.key }) }],
  checklist_changed: (f, older) => checklist(f.items ?? [], older),
  evidence_added: (f) => [{ icon: 'link', text: t('history.evidence_added', { kind: t(`panel.kind_${f.kind}`) }), body: f.text }],
  evidence_removed: (f) => [{ icon: 'trash', text: t('history.evidence_removed', { kind: t(`panel.kind_${f.kind}`) }) }],
  approval_requested: (f) => [{ icon: 'approval', text: t('history.approval_requested'), body: f.note }],
  ticket_approved: (f) => [{ icon: 'check', text: t('history.ticket_approved'), body: f.note }],
  ticket_rejected: (f) => [{ icon: 'close', text: t('history.ticket_rejected'), body: f.note }],
  approval_withdrawn: () => [{ icon: 'approval', text: t('history.approval_withdrawn') }],
  usage_recorded: (f) => [{ icon: 'flow', text: t('history.usage', { n: number(f.input_tokens + f.output_tokens), cost: cost(f.cost_micros) }) }],
  comment_added: (f) => [{ icon: 'comment', text: t('history.comment_added'), body: f.text }],
  comment_updated: (f) => [{ icon: 'comment', text: t('history.comment_updated'), body: f.text }],
  comment_deleted: () => [{ icon: 'comment', text: t('history.comment_deleted') }],
  data_redacted: (f) => [{ icon: 'trash', text: t('history.data_redacted', { reason: f.reason }) }],
};

// lines says an event; older yields the events of the ticket before it, the nearest
// first.
export function lines(e, older = () => []) {
  if (!e.data) return [{ icon: 'trash', text: t('history.other', { type: e.type.replaceAll('_', ' ') }), note: t('history.redacted') }];
  const found = LINES[e.type]?.(e.data, older);
  return found?.length ? found : [{ icon: 'history', text: t('history.other', { type: e.type.replaceAll('_', ' ') }) }];
}
