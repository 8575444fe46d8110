// The morning report: what a diff of the server says, in groups that a person reads,
// and as text.
import { exact, number, t } from '../lib/strings.js';

export const GROUPS = ['done', 'moved', 'added', 'edited', 'waiting', 'work', 'removed'];
const CONTENT = ['title', 'description', 'acceptance_criteria', 'priority', 'labels', 'due_at', 'checklist', 'evidence', 'depends_on'];

// grouped sorts the tickets of a diff. Each is in one group: the first that fits.
// It returns {items: {group: [ticket]}, reordered}; a ticket has id, key, title, by, at,
// fields by name, from and to (columns), gone. Tickets that only changed their place in
// a column are counted, not listed.
export function grouped(diff, columns) {
  const kinds = new Map();
  const boards = diff.board.filter((f) => f.field === 'columns').flatMap((f) => [...(f.old ?? []), ...(f.new ?? [])]);
  for (const c of [...boards, ...columns]) kinds.set(c.name, c.kind);
  const isDone = (name) => kinds.get(name) === 'done';
  const items = Object.fromEntries(GROUPS.map((g) => [g, []]));
  let reordered = 0;
  for (const x of diff.added) {
    const to = x.current_column;
    items[isDone(to) ? 'done' : 'added'].push({ ...head(x), fields: new Map(), to, fresh: true });
  }
  for (const x of diff.removed) items.removed.push({ ...head(x), fields: new Map(), from: x.current_column, gone: true });
  for (const x of diff.changed) {
    const fields = new Map(x.fields.map((f) => [f.field, f]));
    fields.delete('rank');
    const place = fields.get('current_column');
    fields.delete('current_column');
    if (!place && !fields.size) {
      reordered++;
      continue;
    }
    const has = (...names) => names.some((n) => fields.has(n));
    let group = 'work';
    if (place && isDone(place.new) && !isDone(place.old)) group = 'done';
    else if (place) group = 'moved';
    else if (has(...CONTENT)) group = 'edited';
    else if (has('blocked', 'approval')) group = 'waiting';
    items[group].push({ ...head(x), fields, from: place?.old, to: place?.new });
  }
  for (const list of Object.values(items)) list.sort((a, b) => (b.at ?? '').localeCompare(a.at ?? '') || a.id - b.id);
  return { items, reordered };
}

const head = ({ id, key, title, by, at }) => ({ id, key, title, by: by ?? [], at });

// only keeps what one actor had to do with.
export function only(groups, actor) {
  if (!actor) return groups;
  return Object.fromEntries(Object.entries(groups).map(([g, list]) => [g, list.filter((x) => x.by.includes(actor))]));
}

// sentence says the report in one line.
export function sentence(groups, actors) {
  const fresh = groups.done.filter((x) => x.fresh).length;
  const parts = GROUPS.filter((g) => groups[g].length).map((g) => t(g === 'done' && fresh ? 'diff.n_done_new' : `diff.n_${g}`, { n: number(groups[g].length), fresh: number(fresh) }));
  if (!parts.length) return t('diff.nothing');
  const agents = actors.filter((a) => a.kind === 'agent').length;
  const people = actors.filter((a) => a.kind === 'human').length;
  const who = [agents && t(agents === 1 ? 'diff.agent' : 'diff.agents', { n: agents }), people && t(people === 1 ? 'diff.person' : 'diff.people', { n: people })].filter(Boolean);
  return t(who.length === 2 ? 'diff.by_two' : who.length ? 'diff.by_one' : 'diff.by_none', { what: parts.join(', '), a: who[0], b: who[1] });
}

// asText is the report as Markdown.
export function asText({ name, from, to, groups, actors, line }) {
  const out = [`# ${t('diff.of', { name })}`, '', t('diff.span', { from, to }), '', sentence(groups, actors)];
  const told = actors.filter((a) => a.kind !== 'system');
  if (told.length) out.push('', `## ${t('diff.by_whom')}`, '', ...told.map((a) => `- ${a.name}: ${share(a)}`));
  for (const g of GROUPS) {
    if (!groups[g].length) continue;
    out.push('', `## ${t(`diff.${g}`)} (${groups[g].length})`, '');
    for (const x of groups[g]) {
      const more = [x.from && x.to ? `${x.from} → ${x.to}` : x.to ?? x.from, x.by.join(', '), x.at && exact(x.at)].filter(Boolean).join('; ');
      out.push(`- ${x.key} ${x.title.replaceAll('\n', ' ')} (${more})`);
      for (const f of x.fields.values()) {
        const said = line(f);
        if (said) out.push(`  - ${said}`);
      }
    }
  }
  return `${out.join('\n')}\n`;
}

export const SHARES = ['done', 'moved', 'added', 'edited', 'commented'];
const share = (a) => SHARES.filter((s) => a[s]).map((s) => `${number(a[s])} ${t(`diff.did_${s}`)}`).join(', ');
