// The properties of a ticket: where it stands, how urgent, whose, until when.
import { html, useEffect, useRef, useSignal } from '../../vendor/preact.js';
import { every } from '../../lib/api.js';
import { Icon } from '../../lib/parts.js';
import { me } from '../../lib/session.js';
import { ago, exact, t } from '../../lib/strings.js';
import { moveTicket } from '../../board/actions.js';
import { now } from '../../board/store.js';
import { change } from './change.js';
import { Holder } from './hold.js';
import { By, Tool, When } from './parts.js';

const PRIORITIES = ['urgent', 'high', 'medium', 'low'];
const SHOWN_LABELS = 24;

// Prop is one line of the list. A control has its own name.
const Prop = ({ name, children }) => html`<dt>${name}</dt><dd>${children}</dd>`;

export function Fields({ store, model, ticket, may }) {
  const columns = model.board.value.columns;
  return html`<dl class="props">
    <${Prop} name=${t('panel.column')}>${may.change
    ? html`<select aria-label=${t('panel.column')} value=${String(ticket.column_id)} onChange=${(e) => moveTicket(store, ticket.id, { column: Number(e.target.value) })}>${columns.map((c) => html`<option key=${c.id} value=${String(c.id)} selected=${c.id === ticket.column_id}>${c.name}</option>`)}</select>`
    : html`<span>${ticket.current_column}</span>`}<//>
    <${Prop} name=${t('panel.holder')}><${Holder} store=${store} model=${model} ticket=${ticket} may=${may} /><//>
    <${Prop} name=${t('panel.assignee')}><${Assignee} store=${store} ticket=${ticket} may=${may} /><//>
    <${Prop} name=${t('panel.priority')}><${Priority} store=${store} ticket=${ticket} may=${may} /><//>
    <${Prop} name=${t('panel.labels')}><${Labels} store=${store} model=${model} ticket=${ticket} may=${may} /><//>
    ${(may.change || ticket.due_at) && html`<${Prop} name=${t('panel.due')}><${Due} store=${store} ticket=${ticket} may=${may} /><//>`}
    <${Prop} name=${t('panel.created')}><span class="row"><${By} store=${store} name=${ticket.created_by} /><${When} at=${ticket.created_at} /></span><//>
  </dl>`;
}

function Priority({ store, ticket, may }) {
  const mark = ticket.priority !== 'medium' && html`<span class="priority ${ticket.priority}"><${Icon} name=${ticket.priority} /></span>`;
  if (!may.change) return html`<span class="row">${mark}${t(`priority.${ticket.priority}`)}</span>`;
  const pick = (priority) => change(store, ticket, {
    body: { priority }, fields: { priority }, text: t('panel.priority_done', { key: ticket.key, priority: t(`priority.${priority}`) }),
  });
  return html`<span class="row"><select aria-label=${t('panel.priority')} value=${ticket.priority} onChange=${(e) => pick(e.target.value)}>${PRIORITIES.map((p) => html`<option key=${p} value=${p} selected=${p === ticket.priority}>${t(`priority.${p}`)}</option>`)}</select>${mark}</span>`;
}

// members of a board are asked for once, and again after they changed.
async function members(store) {
  store.members ??= every(`/api/boards/${store.id}/members`).catch((err) => {
    store.members = null;
    throw err;
  });
  return store.members;
}

function Assignee({ store, ticket, may }) {
  const list = useSignal([]);
  useEffect(() => {
    if (!may.manage) return undefined;
    let there = true;
    const load = () => members(store).then((m) => { if (there) list.value = m; }, () => {});
    const heard = (events) => {
      if (!events.some((e) => e.type.startsWith('member_'))) return;
      store.members = null;
      load();
    };
    load();
    store.listeners.add(heard);
    return () => {
      there = false;
      store.listeners.delete(heard);
    };
  }, [may.manage]);
  if (!may.manage) return ticket.assignee ? html`<span dir="auto">${ticket.assignee}</span>` : html`<span class="soft">${t('panel.nobody')}</span>`;
  const names = list.value.map((m) => m.name);
  for (const name of [me.value.username, ticket.assignee]) if (name && !names.includes(name)) names.push(name);
  names.sort((a, b) => (b === me.value.username) - (a === me.value.username));
  const pick = (name) => change(store, ticket, {
    method: 'POST', path: '/assign', body: { assignee: name || null }, fields: { assignee: name || null },
    text: name ? t('panel.assigned_done', { key: ticket.key, name }) : t('panel.unassigned_done', { key: ticket.key }),
  });
  return html`<select aria-label=${t('panel.assignee')} value=${ticket.assignee ?? ''} onChange=${(e) => pick(e.target.value)}>
    <option value="" selected=${!ticket.assignee}>${t('panel.nobody')}</option>
    ${names.map((name) => html`<option key=${name} value=${name} selected=${name === ticket.assignee}>${name === me.value.username ? t('panel.me', { name }) : name}</option>`)}</select>`;
}

function Labels({ store, model, ticket, may }) {
  const all = useSignal(false);
  const known = useSignal([]);
  const adding = useSignal(false);
  const at = useRef();
  useEffect(() => {
    if (adding.value) at.current?.focus();
  }, [adding.value]);
  const set = (labels, text) => change(store, ticket, { body: { labels }, fields: { labels }, text });
  const add = () => {
    const label = at.current.value.trim();
    at.current.value = '';
    if (label && !ticket.labels.includes(label)) set([...ticket.labels, label], t('panel.label_done', { key: ticket.key, label }));
  };
  const remove = (label) => {
    set(ticket.labels.filter((x) => x !== label), t('panel.label_removed', { key: ticket.key, label }));
    at.current?.focus();
  };
  const open = () => {
    const counts = new Map();
    for (const other of model.all()) for (const label of other.labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    known.value = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 100).map(([label]) => label);
    adding.value = true;
  };
  const keys = (e) => {
    if (e.key === 'Enter' || e.key === ',') {
      e.preventDefault();
      add();
    } else if (e.key === 'Escape') {
      e.stopPropagation();
      adding.value = false;
    }
  };
  const shown = all.value ? ticket.labels : ticket.labels.slice(0, SHOWN_LABELS);
  return html`<span class="row wrap label-list">
    ${shown.map((label) => html`<span class="tag label" key=${label} dir="auto">${label}${may.change && html`<button type="button" class="quiet" aria-label=${t('panel.label_remove', { label })} title=${t('panel.label_remove', { label })} onClick=${() => remove(label)}><${Icon} name="close" /></button>`}</span>`)}
    ${shown.length < ticket.labels.length && html`<button class="link small" onClick=${() => { all.value = true; }}>${t('panel.labels_all', { n: ticket.labels.length })}</button>`}
    ${!ticket.labels.length && !may.change && html`<span class="soft">${t('app.nothing')}</span>`}
    ${may.change && (adding.value
    ? html`<span><input ref=${at} class="label-input" maxlength="50" list="panel-labels" aria-label=${t('panel.label_add')} placeholder=${t('panel.label_add')} onKeyDown=${keys} onBlur=${() => { add(); adding.value = false; }} /><datalist id="panel-labels">${known.value.filter((l) => !ticket.labels.includes(l)).map((l) => html`<option key=${l} value=${l} />`)}</datalist></span>`
    : html`<button type="button" class="quiet label-add" aria-label=${t('panel.label_add')} title=${t('panel.label_add')} onClick=${open}><${Icon} name="add" />${ticket.labels.length ? '' : t('panel.label_add')}</button>`)}
  </span>`;
}

const two = (n) => String(n).padStart(2, '0');
const day = (at) => {
  const d = new Date(at);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
};

// A date that is picked means the end of that day where the person is.
function Due({ store, ticket, may }) {
  const adding = useSignal(false);
  const at = useRef();
  useEffect(() => {
    if (adding.value) at.current?.focus();
  }, [adding.value]);
  const { due_at: due, key } = ticket;
  const done = store.live.value.board.value.columns.some((c) => c.id === ticket.column_id && c.kind === 'done');
  const late = due && !done && new Date(due) < now.value;
  const when = due && html`<span class=${late ? 'late small' : 'soft small'} title=${exact(due)}>${ago(due, now.value)}${late && ` · ${t('panel.overdue')}`}</span>`;
  if (!may.change) return when;
  if (!due && !adding.value) return html`<span><button class="quiet due-add" onClick=${() => { adding.value = true; }}><${Icon} name="due" />${t('panel.due_add')}</button></span>`;
  const pick = (e) => {
    if (!e.target.value || (due && e.target.value === day(due))) return;
    const at = new Date(`${e.target.value}T23:59:00`).toISOString();
    change(store, ticket, { body: { due_at: at }, fields: { due_at: at }, text: t('panel.due_done', { key, time: exact(at) }) });
  };
  const clear = () => {
    adding.value = false;
    change(store, ticket, { body: { due_at: null }, fields: { due_at: null }, text: t('panel.due_cleared', { key }) });
  };
  return html`<span class="row wrap"><input ref=${at} type="date" aria-label=${t('panel.due')} value=${due ? day(due) : ''} onChange=${pick} />${when}${due && html`<${Tool} icon="close" label=${t('panel.due_clear')} run=${clear} />`}</span>`;
}
