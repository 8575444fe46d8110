// How work flows over a board: figures of its past, from its first day on, and a
// forecast. What is shown is in the address, so that it can be sent as a link.
import './strings.js';
import { html, useEffect, useMemo, useSignal } from '../vendor/preact.js';
import { get } from '../lib/api.js';
import { follow } from '../lib/live.js';
import { Icon } from '../lib/parts.js';
import { place } from '../lib/router.js';
import { me } from '../lib/session.js';
import { ago, exact, refusal, t } from '../lib/strings.js';
import { Frame } from '../pages/frame.js';
import { Cumulative, Progress, Throughput } from './flow/counts.js';
import { moment } from './flow/draw.js';
import { tables } from './flow/figure.js';
import { Aging, Times } from './flow/lengths.js';
import { Agents, Forecast } from './flow/people.js';
import { pathOf, Picker, rangeOf } from './flow/range.js';

const REST = 30_000; // between two looks at a board on which things happen

// useLive calls again at most every REST while events of the board arrive.
function useLive(id, position, again) {
  useEffect(() => {
    if (!id) return undefined;
    let timer = 0;
    let last = Date.now();
    const soon = () => {
      timer ||= setTimeout(() => {
        timer = 0;
        if (document.hidden) return soon();
        last = Date.now();
        return again();
      }, Math.max(1000, last + REST - Date.now()));
    };
    let seen = position();
    const follower = {
      since: () => Math.max(seen, position()),
      events(batch) {
        seen = batch.at(-1).position;
        soon();
      },
      resync() {
        again().then(() => { stop = follow(id, follower); });
      },
    };
    let stop = follow(id, follower);
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [id]);
}

export default function FlowPage({ board: ref }) {
  const { query } = place.value;
  const range = rangeOf(query);
  const items = query.get('items') ?? '';
  const path = pathOf(ref, range, items, query.get('by') ?? '');
  const board = useSignal(null);
  const flow = useSignal(null);
  const ages = useSignal(null);
  const busy = useSignal(true);
  const wrong = useSignal(null);
  const asked = useMemo(() => ({ n: 0 }), []);
  const load = async () => {
    const turn = ++asked.n;
    busy.value = true;
    try {
      const [b, f, s] = await Promise.all([
        get(`/api/boards/${ref}`), get(asked.path), get(`/api/statistics/boards/${ref}/statistics`),
      ]);
      if (turn !== asked.n) return;
      board.value = b;
      ages.value = new Map(s.columns.map((c) => [c.id, c.finished]));
      // The board was made within the range where that was cut.
      flow.value = { ...f, young: Date.parse(f.from) > Date.parse(asked.from) };
      wrong.value = null;
    } catch (err) {
      if (turn === asked.n) wrong.value = err;
    }
    if (turn === asked.n) busy.value = false;
  };
  Object.assign(asked, { path, from: range.from });
  useEffect(() => { load(); }, [path]);
  useEffect(() => () => { asked.n = -Infinity; }, []);
  useLive(board.value?.id, () => flow.peek()?.position ?? 0, load);
  useEffect(() => {
    const key = (event) => {
      if (event.key !== 't' || event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.('input, select, textarea, dialog, [contenteditable]')) return;
      tables.value = !tables.value;
    };
    document.addEventListener('keydown', key);
    return () => document.removeEventListener('keydown', key);
  }, []);
  const name = board.value?.name ?? ref;
  useEffect(() => {
    document.title = `${t('flow.of', { name })} · ${t('app.name')}`;
  }, [name]);
  if (!flow.value && wrong.value && [403, 404].includes(wrong.value.status)) {
    return html`<${Frame}><main class="plain" id="content"><h1>${t('wrong.no_access')}</h1><p>${t('wrong.no_access_lead', { name: me.value.username })}</p><a class="button" href="/boards">${t('wrong.to_boards')}</a></main><//>`;
  }
  const f = flow.value;
  const key = board.value?.key ?? ref;
  // csv is what a figure offers as a file: a table of the server's, or rows of its own.
  const csv = (table, rows) => ({ name: `${key}-${table}-${f.from.slice(0, 10)}-${f.to.slice(0, 10)}.csv`, rows, path: `${path}&format=csv&table=${table}` });
  const bar = html`<a class="button quiet flow-back" href="/boards/${ref}"><${Icon} name="left" /><strong class="cut">${name}</strong></a><a class="button quiet" href="/boards/${ref}/diff"><${Icon} name="diff" />${t('flow.changes')}</a>`;
  return html`<${Frame} bar=${bar}><main class="page flow" id="content">
    <div class="flow-head"><div class="row wrap"><h1>${t('flow.of', { name })}</h1>
      <span class="row spread no-print">${f && html`<span class="soft small" title=${exact(f.as_of)} aria-live="off">${busy.value ? t('app.loading') : t('flow.as_of', { time: ago(f.as_of) })}</span>`}
        <button aria-pressed=${tables.value} aria-keyshortcuts="t" onClick=${() => { tables.value = !tables.value; }}><${Icon} name="table" />${t('flow.all_tables')}<kbd class="wide-only">T</kbd></button></span></div>
      <${Picker} range=${range} flow=${f} />
      ${f && html`<p class="soft small">${t('flow.shown', { from: moment(f.from), to: moment(f.to) })}</p>`}</div>
    ${wrong.value && html`<p class="notice red" role="alert"><span>${refusal(wrong.value)}</span><button class="spread" onClick=${load}>${t('app.retry')}</button></p>`}
    ${!f && !wrong.value && html`<div class="flow-grid" role="status" aria-busy="true" aria-label=${t('app.loading')}>${[1, 2, 3, 4, 5].map((i) => html`<div key=${i} class="bone flow-bone ${i === 1 ? 'wide' : ''}"></div>`)}</div>`}
    ${f && html`<div class="flow-grid ${busy.value ? 'busy' : ''}" aria-busy=${busy.value}>
      <${Cumulative} board=${key} flow=${f} csv=${csv} /><${Forecast} flow=${f} csv=${csv} />
      <${Times} board=${key} flow=${f} csv=${csv} /><${Throughput} flow=${f} csv=${csv} />
      <${Aging} board=${key} flow=${f} ages=${ages.value} csv=${csv} /><${Progress} flow=${f} csv=${csv} />
      <${Agents} flow=${f} csv=${csv} /></div>`}
  </main><//>`;
}
