// What differs in a ticket, field by field: a line of text for short things, the words
// that came and went for long ones.
import { html } from '../vendor/preact.js';
import { exact, t } from '../lib/strings.js';

const LONG = ['description', 'acceptance_criteria'];
const WORK = 250_000; // comparisons of words at most; beyond, both texts are shown whole

// words compares two texts: [{kind: ' ' | '-' | '+', text}].
export function words(old, fresh) {
  const a = old.split(/(\s+)/);
  const b = fresh.split(/(\s+)/);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const x = a.slice(head, a.length - tail);
  const y = b.slice(head, b.length - tail);
  const parts = [{ kind: ' ', text: a.slice(0, head).join('') }];
  const push = (kind, text) => {
    if (parts.at(-1).kind === kind) parts.at(-1).text += text;
    else parts.push({ kind, text });
  };
  if (x.length * y.length > WORK) {
    push('-', x.join(''));
    push('+', y.join(''));
  } else {
    // The longest common subsequence, from the end.
    const wide = y.length + 1;
    const best = new Uint16Array((x.length + 1) * wide);
    for (let i = x.length - 1; i >= 0; i--) {
      for (let j = y.length - 1; j >= 0; j--) best[i * wide + j] = x[i] === y[j] ? best[(i + 1) * wide + j + 1] + 1 : Math.max(best[(i + 1) * wide + j], best[i * wide + j + 1]);
    }
    let i = 0;
    let j = 0;
    while (i < x.length || j < y.length) {
      if (i < x.length && j < y.length && x[i] === y[j]) {
        push(' ', x[i++]);
        j++;
      } else if (i < x.length && (j === y.length || best[(i + 1) * wide + j] >= best[i * wide + j + 1])) push('-', x[i++]);
      else push('+', y[j++]);
    }
  }
  push(' ', a.slice(a.length - tail).join(''));
  return gathered(parts.filter((p) => p.text), old, fresh);
}

// gathered makes phrases of changes with nothing but space between them. Of texts that
// have little in common, a person reads the one and then the other.
function gathered(parts, old, fresh) {
  const same = parts.reduce((n, p) => (p.kind === ' ' ? n + p.text.trim().length : n), 0);
  if (same < 0.3 * Math.min(old.length, fresh.length)) return [{ kind: '-', text: old }, { kind: '+', text: fresh }].filter((p) => p.text);
  const out = [];
  let went = '';
  let came = '';
  const flush = () => {
    if (went) out.push({ kind: '-', text: went });
    if (came) out.push({ kind: '+', text: came });
    went = '';
    came = '';
  };
  parts.forEach((p, i) => {
    if (p.kind === '-') went += p.text;
    else if (p.kind === '+') came += p.text;
    else if (!p.text.trim() && i > 0 && i < parts.length - 1) {
      went += p.text;
      came += p.text;
    } else {
      flush();
      out.push(p);
    }
  });
  flush();
  return out;
}

// short leaves out what is the same and far from what differs.
const short = (text, first, last) => {
  if (text.length < 160) return text;
  if (first) return `…${text.slice(-60)}`;
  return last ? `${text.slice(0, 60)}…` : `${text.slice(0, 60)} … ${text.slice(-60)}`;
};

const clipped = (s) => (s.length > 100 ? `${s.slice(0, 99)}…` : s);
const named = (field) => t(`field.${field}`);
const state = (a) => (a ? t(`diff.approval_${a.state}`, { name: a.by }) : t('diff.approval_gone'));
const list = (before, after) => {
  const came = after.filter((x) => !before.includes(x)).map((x) => `+ ${x}`);
  const went = before.filter((x) => !after.includes(x)).map((x) => `− ${x}`);
  return [...came, ...went].join(', ');
};
const ticked = (items) => t('diff.ticked', { done: items.filter((x) => x.done).length, n: items.length });
const column = (c) => `${c.name}${c.wip_limit ? ` (${c.wip_limit})` : ''}`;

// line says a field in one line; empty where it is not worth one.
export function line(f) {
  const old = f.old;
  const now = f.new;
  switch (f.field) {
    case 'labels': case 'depends_on': return `${named(f.field)}: ${list(old ?? [], now ?? [])}`;
    case 'columns': return `${named(f.field)}: ${(now ?? []).map(column).join(', ')} (${t('diff.before')}: ${(old ?? []).map(column).join(', ')})`;
    case 'checklist': return `${named(f.field)}: ${ticked(old ?? [])} → ${ticked(now ?? [])}`;
    case 'evidence': {
      const came = (now ?? []).filter((x) => !(old ?? []).some((y) => y.id === x.id));
      return `${named(f.field)}: ${came.length ? came.slice(0, 4).map((x) => `+ ${clipped(x.text)}`).join('; ') : t('diff.evidence_gone')}${came.length > 4 ? `; + ${came.length - 4}` : ''}`;
    }
    case 'approval': return `${named(f.field)}: ${state(now)}${now?.note ? ` “${now.note}”` : ''}`;
    case 'blocked': return t(now ? 'diff.now_blocked' : 'diff.not_blocked');
    case 'lease': return now ? t('diff.claimed', { name: now.holder }) : t('diff.released', { name: old.holder });
    case 'assignee': return `${named(f.field)}: ${old ?? t('app.nothing')} → ${now ?? t('app.nothing')}`;
    case 'due_at': return `${named(f.field)}: ${old ? exact(old) : t('app.nothing')} → ${now ? exact(now) : t('app.nothing')}`;
    case 'comment_count': return now > old ? t('diff.comments', { n: now - old }) : '';
    case 'priority': return `${named(f.field)}: ${t(`priority.${old}`)} → ${t(`priority.${now}`)}`;
    case 'description': case 'acceptance_criteria': return `${named(f.field)}: ${t('diff.edited_text')}`;
    case 'archived': return '';
    default: return `${named(f.field)}: ${text(old)} → ${text(now)}`;
  }
}

const text = (value) => (value === null || value === '' ? t('app.nothing') : typeof value === 'object' ? JSON.stringify(value) : String(value));

// Words draws what came and went in a text.
function Words({ old, now }) {
  const parts = words(old ?? '', now ?? '');
  return html`<p class="words" dir="auto">${parts.map((p, i) => {
    if (p.kind === '-') return html`<del key=${i}>${p.text}</del>`;
    return p.kind === '+' ? html`<ins key=${i}>${p.text}</ins>` : html`<span key=${i}>${short(p.text, i === 0, i === parts.length - 1)}</span>`;
  })}</p>`;
}

// Field draws one field that differs.
export function Field({ field: f }) {
  if (f.field === 'title') return html`<li><span class="soft">${named('title')}:</span> <${Words} old=${f.old} now=${f.new} /></li>`;
  if (LONG.includes(f.field)) {
    const much = (f.old ?? '').length + (f.new ?? '').length > 600;
    return html`<li class="long"><details open=${!much}><summary>${named(f.field)}</summary><${Words} old=${f.old} now=${f.new} /></details></li>`;
  }
  const said = line(f);
  if (!said) return null;
  if (f.field === 'checklist') {
    const was = new Map((f.old ?? []).map((x) => [x.id, x]));
    const title = (f.new ?? []).filter((x) => x.done && !was.get(x.id)?.done).map((x) => `✓ ${x.text}`).join('\n');
    return html`<li title=${title}>${said}</li>`;
  }
  return html`<li dir="auto">${said}</li>`;
}
