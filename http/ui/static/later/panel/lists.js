// The checklist and the evidence of a ticket.
import { html, useEffect, useRef, useSignal } from '../../vendor/preact.js';
import { Icon, Menu } from '../../lib/parts.js';
import { me } from '../../lib/session.js';
import { t } from '../../lib/strings.js';
import { change } from './change.js';
import { By, Section, Tool, When } from './parts.js';
import { Markdown } from './text.js';

export function Checklist({ store, ticket, may }) {
  const adding = useSignal(false);
  const editing = useSignal(0);
  const input = useRef();
  const items = ticket.checklist;
  useEffect(() => {
    if (adding.value || editing.value) input.current?.focus();
    if (editing.value) input.current?.select();
  }, [adding.value, editing.value]);
  if (!items.length && !may.change) return null;
  const done = items.filter((x) => x.done).length;
  const set = (list, text, then) => change(store, ticket, { method: 'PUT', path: '/checklist', body: { items: list.map(({ id, text: words, done: is }) => ({ ...(id > 0 && { id }), text: words, done: is })) }, fields: { checklist: list }, text, sent: then });
  const tick = (item) => change(store, ticket, {
    method: 'POST', path: '/checklist', body: { item: item.id, done: !item.done },
    fields: { checklist: items.map((x) => (x === item ? { ...x, done: !x.done } : x)) },
  });
  const add = () => {
    const text = input.current.value.trim();
    if (!text) return;
    input.current.value = '';
    set([...items, { id: -items.length - 1, text, done: false }]);
  };
  const reword = (item) => {
    if (editing.peek() !== item.id || !input.current) return; // Enter was first, and then the focus left
    const text = input.current.value.trim();
    editing.value = 0;
    if (text && text !== item.text) set(items.map((x) => (x === item ? { ...x, text } : x)));
  };
  const move = (at, by) => set(items.toSpliced(at, 1).toSpliced(at + by, 0, items[at]));
  const keys = (run, leave) => (e) => {
    if (e.key === 'Enter') {
      e.preventDefault();
      run();
    } else if (e.key === 'Escape') {
      e.stopPropagation();
      leave();
    }
  };
  const menu = (item, i) => html`<${Menu} label=${t('panel.item_menu', { text: item.text })} items=${[
    { label: t('panel.item_edit'), icon: 'edit', run: () => { editing.value = item.id; } },
    i > 0 && { label: t('panel.item_up'), icon: 'up', run: () => move(i, -1) },
    i < items.length - 1 && { label: t('panel.item_down'), icon: 'down', run: () => move(i, 1) },
    { label: t('panel.item_remove'), icon: 'trash', danger: true, run: () => set(items.filter((x) => x !== item), t('panel.item_removed', { key: ticket.key })) },
  ]} />`;
  return html`<${Section} title=${t('panel.checklist')} bare=${!items.length && !adding.value} note=${items.length ? t('panel.checklist_done', { done, n: items.length }) : ''}>
    ${items.length > 0 && html`<span class="meter" aria-hidden="true"><span style=${{ width: `${(100 * done) / items.length}%` }}></span></span>`}
    ${items.length > 0 && html`<ul class="bare checklist">${items.map((item, i) => html`<li key=${item.id} class="row">
      ${editing.value === item.id
    ? html`<input ref=${input} class="grow" maxlength="500" defaultValue=${item.text} aria-label=${t('panel.item_text')} dir="auto" onKeyDown=${keys(() => reword(item), () => { editing.value = 0; })} onBlur=${() => reword(item)} />`
    : html`<label class="row grow ${item.done ? 'soft' : ''}"><input type="checkbox" checked=${item.done} disabled=${!may.change || item.id < 0} onChange=${() => tick(item)} /><span dir="auto">${item.text}</span></label>${may.manage && item.id > 0 && menu(item, i)}`}</li>`)}</ul>`}
    ${may.change && (adding.value
    ? html`<div class="row"><input ref=${input} class="grow" maxlength="500" aria-label=${t('panel.item_add')} placeholder=${t('panel.item_add')} dir="auto" onKeyDown=${keys(add, () => { adding.value = false; })} /><button onClick=${add}>${t('board.add_submit')}</button><button class="quiet" onClick=${() => { adding.value = false; }}>${t('app.close')}</button></div>`
    : html`<button class="quiet add-part" onClick=${() => { editing.value = 0; adding.value = true; }}><${Icon} name="add" />${t(items.length ? 'panel.item_add' : 'panel.checklist_add')}</button>`)}<//>`;
}

const KINDS = ['link', 'commit', 'test_output', 'note'];

function Piece({ store, ticket, evidence, may, board }) {
  const mine = evidence.by === me.value.username;
  const remove = () => change(store, ticket, {
    method: 'DELETE', path: `/evidence/${evidence.id}`, fields: { evidence: ticket.evidence.filter((x) => x !== evidence) }, text: t('panel.evidence_removed', { key: ticket.key }),
  });
  const short = evidence.text.slice(0, 60);
  const body = {
    link: () => /^https?:/i.test(evidence.text) && html`<a class="evidence-text" href=${evidence.text} target="_blank" rel="noopener noreferrer">${evidence.text}</a>`,
    commit: () => html`<code class="evidence-text">${evidence.text}</code>`,
    test_output: () => (evidence.text.split('\n').length > 8 ? html`<details><summary>${evidence.text.trim().split('\n').at(-1)}</summary><pre>${evidence.text}</pre></details>` : html`<pre>${evidence.text}</pre>`),
    note: () => html`<${Markdown} text=${evidence.text} board=${board} />`,
  }[evidence.kind] ?? (() => html`<span class="evidence-text">${evidence.text}</span>`);
  return html`<li class="evidence"><div class="row"><span class="tag">${t(`panel.kind_${evidence.kind}`)}</span><${By} store=${store} name=${evidence.by} /><${When} at=${evidence.at} />
    ${may.change && (mine || may.manage) && html`<span class="spread"><${Tool} icon="trash" label=${t('panel.evidence_remove', { text: short })} run=${remove} /></span>`}</div>${body()}</li>`;
}

export function Evidence({ store, ticket, may, board }) {
  const adding = useSignal(false);
  const kind = useSignal('link');
  const form = useRef();
  useEffect(() => {
    if (adding.value) form.current?.querySelector('.evidence-input')?.focus();
  }, [adding.value, kind.value]);
  if (!ticket.evidence.length && !may.change) return null;
  const add = (event) => {
    event.preventDefault();
    const text = new FormData(form.current).get('text').trim();
    if (!text) return;
    change(store, ticket, {
      method: 'POST', path: '/evidence', body: { kind: kind.peek(), text }, text: t('panel.evidence_done', { key: ticket.key }),
      sent: () => { adding.value = false; },
    });
  };
  const leave = (e) => {
    if (e.key !== 'Escape') return;
    e.stopPropagation();
    adding.value = false;
  };
  const hint = t(`panel.hint_${kind.value}`);
  return html`<${Section} title=${t('panel.evidence')} bare=${!ticket.evidence.length && !adding.value} note=${ticket.evidence.length || ''}>
    ${ticket.evidence.length > 0 && html`<ul class="bare stack">${ticket.evidence.map((e) => html`<${Piece} key=${e.id} store=${store} ticket=${ticket} evidence=${e} may=${may} board=${board} />`)}</ul>`}
    ${may.change && (adding.value
    ? html`<form ref=${form} class="stack" onSubmit=${add} onKeyDown=${leave}><select aria-label=${t('panel.evidence_kind')} value=${kind.value} onChange=${(e) => { kind.value = e.target.value; }}>${KINDS.map((k) => html`<option key=${k} value=${k}>${t(`panel.kind_${k}`)}</option>`)}</select>
      ${kind.value === 'link' || kind.value === 'commit'
    ? html`<input key="line" name="text" class="evidence-input" type=${kind.value === 'link' ? 'url' : 'text'} required maxlength="2000" aria-label=${t('panel.evidence_text')} placeholder=${hint} />`
    : html`<textarea key="lines" name="text" class="evidence-input" rows="4" required aria-label=${t('panel.evidence_text')} placeholder=${hint}></textarea>`}
      <div class="row"><button class="main">${t('board.add_submit')}</button><button type="button" class="quiet" onClick=${() => { adding.value = false; }}>${t('app.cancel')}</button></div></form>`
    : html`<button class="quiet add-part" onClick=${() => { adding.value = true; }}><${Icon} name="add" />${t('panel.evidence_add')}</button>`)}<//>`;
}
