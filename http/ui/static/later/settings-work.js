// What the work on a board cost, and taking back what somebody did.
import { html, useEffect, useSignal } from '../vendor/preact.js';
import { get, post } from '../lib/api.js';
import { Field, Icon, toast } from '../lib/parts.js';
import { exact, number, refusal, t } from '../lib/strings.js';
import { Ask, Section } from './bits.js';

// money is an amount in millionths of a dollar.
export const money = (micros) => (micros ? `$${number(Math.floor(micros / 1e6))}.${String(Math.floor(micros / 1e4) % 100).padStart(2, '0')}` : '–');
const TOP = 10; // tickets shown

const row = (name, u, href) => html`<tr key=${name}><td>${href ? html`<a href=${href}>${name}</a>` : name}</td><td class="number">${number(u.input_tokens)}</td><td class="number">${number(u.output_tokens)}</td><td class="number">${money(u.cost_micros)}</td><td class="number">${number(u.reports)}</td></tr>`;
const head = (first) => html`<thead><tr><th>${first}</th><th class="number">${t('usage.input')}</th><th class="number">${t('usage.output')}</th><th class="number">${t('usage.cost')}</th><th class="number">${t('usage.reports')}</th></tr></thead>`;

export function Usage({ board }) {
  const usage = useSignal(null);
  const failed = useSignal(null);
  useEffect(() => {
    get(`/api/boards/${board.id}/usage`).then((u) => { usage.value = u; }, (err) => { failed.value = err; });
  }, [board.id]);
  const u = usage.value;
  return html`<${Section} id="usage" title=${t('settings.usage')} lead=${t('usage.lead')}>
    ${failed.value && html`<p class="notice red" role="alert">${refusal(failed.value)}</p>`}
    ${u && (u.total.reports === 0 ? html`<p class="soft">${t('usage.none')}</p>` : html`
      <div class="scroll" tabindex="0" role="group" aria-label=${t('usage.by_agent')}><table>${head(t('usage.agent'))}<tbody>${u.agents.map((a) => row(a.name, a))}</tbody><tfoot>${row(t('usage.total'), u.total)}</tfoot></table></div>
      <details><summary>${t('usage.by_ticket')}</summary><div class="scroll" tabindex="0" role="group" aria-label=${t('usage.by_ticket')}><table>${head(t('usage.ticket'))}<tbody>${u.tickets.slice(0, TOP).map((x) => row(x.key, x, `/boards/${board.key}/tickets/${x.key}`))}</tbody></table></div></details>`)}
  <//>`;
}

const PAGE = 1000;
const MOST = 10_000; // events that one undo may take back

// found looks for what an actor did since a time: {count, tickets, since, types}, where
// since is the position before the first of it.
async function found(board, actor, time) {
  const tickets = new Set();
  const types = new Map();
  let count = 0;
  let since = 0;
  for (let cursor = ''; count <= MOST;) {
    const page = await get(`/api/events?board=${board.id}&actor=${encodeURIComponent(actor)}&order=desc&limit=${PAGE}${cursor && `&cursor=${cursor}`}`);
    for (const e of page.items) {
      if (new Date(e.time) < time) return { count, tickets: tickets.size, since, types };
      count++;
      since = e.position - 1;
      if (e.ticket_id) tickets.add(e.ticket_id);
      types.set(e.type, (types.get(e.type) ?? 0) + 1);
    }
    if (!page.next_cursor) break;
    cursor = page.next_cursor;
  }
  return { count, tickets: tickets.size, since, types };
}

const local = (date) => new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
const HOUR = 3600_000;

export function Undo({ board, members }) {
  const plan = useSignal(null);
  const busy = useSignal(false);
  const wrong = useSignal(null);
  const time = useSignal(local(new Date(Date.now() - HOUR)));
  const look = async (event) => {
    event.preventDefault();
    const actor = new FormData(event.target).get('actor').trim();
    const from = new Date(time.value);
    busy.value = true;
    wrong.value = null;
    try {
      const what = await found(board, actor, from);
      if (what.count) plan.value = { actor, from, ...what };
      else wrong.value = { detail: t('undo.nothing', { name: actor, time: exact(from) }) };
    } catch (err) {
      wrong.value = err;
    }
    busy.value = false;
  };
  const run = async () => {
    const { actor, since } = plan.value;
    const reply = await post(`/api/boards/${board.id}/undo`, { actor, since });
    toast(t('undo.done', { name: actor, n: reply.events?.length ?? plan.value.count }), { kind: 'green' });
  };
  const p = plan.value;
  return html`<${Section} id="undo" title=${t('settings.undo')} lead=${t('undo.lead')}>
    <form class="inline" onSubmit=${look}><${Field} label=${t('undo.actor')}><input name="actor" required list="undo-actors" autocomplete="off" spellcheck=${false} /><//>
      <datalist id="undo-actors">${members.map((m) => html`<option key=${m.user_id} value=${m.name}></option>`)}</datalist>
      <${Field} label=${t('undo.since')}><input type="datetime-local" required value=${time.value} onInput=${(e) => { time.value = e.target.value; }} /><//>
      <button disabled=${busy.value}><${Icon} name="search" />${t('undo.look')}</button></form>
    <div class="row wrap">${[1, 8, 24].map((h) => html`<button type="button" class="chip" key=${h} onClick=${() => { time.value = local(new Date(Date.now() - h * HOUR)); }}>${t('undo.hours', { n: h })}</button>`)}</div>
    ${wrong.value && html`<p class="wrong" role="alert">${refusal(wrong.value)}</p>`}
    ${p && html`<${Ask} title=${t('undo.title', { name: p.actor })} label=${t('undo.do')} danger run=${run} onClose=${() => { plan.value = null; }}>
      <p>${t(p.count > MOST ? 'undo.too_many' : 'undo.plan', { n: number(p.count), tickets: number(p.tickets), name: p.actor, time: exact(p.from) })}</p>
      <ul class="list">${[...p.types].sort((a, b) => b[1] - a[1]).map(([type, n]) => html`<li key=${type}>${number(n)} × ${type.replaceAll('_', ' ')}</li>`)}</ul>
      <p class="soft">${t('undo.how')}</p><//>`}
  <//>`;
}
