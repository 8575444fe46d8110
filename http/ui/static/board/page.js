// The board page: the bar, the columns, and beside them the card that the address names.
import { html, signal, useEffect, useMemo, useRef } from '../vendor/preact.js';
import { connection } from '../lib/live.js';
import { Face, Icon } from '../lib/parts.js';
import { go } from '../lib/router.js';
import { me } from '../lib/session.js';
import { exact, refusal, t } from '../lib/strings.js';
import { Frame } from '../pages/frame.js';
import { sendUnsent, unsent } from './actions.js';
import { Column } from './column.js';
import * as dnd from './dnd.js';
import { Store } from './store.js';

// Live says whether what is seen is what is.
function Live() {
  const { state } = connection.value;
  const title = t(state === 'live' ? 'live.title' : 'live.title_connecting');
  return html`<span class="live ${state}" role="status" title=${title}><span class="dot" aria-hidden="true"></span>${t(`live.${state}`)}</span>`;
}

function Viewers({ store }) {
  const others = store.viewers.value.filter((v) => v.id !== me.value.id);
  if (!others.length) return null;
  return html`<span class="viewers" aria-label=${t('live.viewers', { names: others.map((v) => v.name).join(', ') })}>${others.slice(0, 5).map((v) => html`<${Face} key=${v.id} name=${v.name} agent=${v.kind === 'agent'} />`)}${others.length > 5 && html`<span class="face">+${others.length - 5}</span>`}</span>`;
}

function Banners({ store }) {
  const model = store.shown.value;
  const board = model.board.value;
  const { state, since } = connection.value;
  return html`${state === 'offline' && html`<p class="notice red" role="alert">${t('wrong.offline_since', { time: exact(since) })}${unsent.value.length > 0 && html` <strong>${t('wrong.waiting', { n: unsent.value.length })}</strong>`}</p>`}
    ${board.archived && html`<p class="notice">${t('board.archived')}</p>`}
    ${board.frozen && !board.archived && html`<p class="notice"><${Icon} name="freeze" />${t('board.frozen')}</p>`}`;
}

function Skeleton() {
  return html`<main class="board" id="content" aria-busy="true"><div class="columns" role="status" aria-label=${t('app.loading')}>${[5, 3, 1, 2].map((n, i) => html`<div class="column" key=${i}>${Array.from({ length: n }, (_, j) => html`<div class="card bone" key=${j}></div>`)}</div>`)}</div></main>`;
}

function Missing({ store }) {
  document.title = `${t('wrong.no_access')} · ${t('app.name')}`;
  const missing = store.state.value === 'missing';
  return html`<${Frame}><main class="plain" id="content"><h1>${t(missing ? 'wrong.no_access' : 'wrong.title')}</h1>
    <p>${missing ? t('wrong.no_access_lead', { name: me.value.username }) : refusal(store.problem.value)}</p>
    <div class="row">${!missing && html`<button class="main" onClick=${() => { store.state.value = 'loading'; store.open(); }}>${t('app.retry')}</button>`}<a class="button" href="/boards">${t('wrong.to_boards')}</a></div></main><//>`;
}

function Columns({ store, selection }) {
  const model = store.shown.value;
  const board = model.board.value;
  const scroller = useRef();
  useEffect(() => (store.past.value ? undefined : dnd.watch(store, scroller.current)), [model]);
  const pick = useMemo(() => (event, ticket) => {
    if (event.defaultPrevented || event.target.closest('a, button')) return;
    go(`/boards/${board.key}/tickets/${ticket.key}${location.search}`);
  }, [board.key]);
  return html`<div class="columns" ref=${scroller} tabindex="-1">${board.columns.map((c) => {
    const ids = model.cell(c.id).value;
    return html`<${Column} key=${c.id} store=${store} model=${model} column=${c} ids=${ids} total=${ids.length} selection=${selection} onPick=${pick} />`;
  })}</div>`;
}

// The card's panel comes with the first card that is opened.
const Panel = signal(null);
function Beside({ store, ticket }) {
  useEffect(() => {
    if (ticket && !Panel.value) import('../later/panel.js').then((m) => { Panel.value = m.default; }, () => { Panel.value = () => html`<p class="notice red">${t('app.new_version')}</p>`; });
  }, [ticket]);
  return ticket && Panel.value ? html`<${Panel.value} key=${ticket} store=${store} ticket=${ticket} />` : null;
}

const NONE = new Set();

export function BoardPage({ board: ref, ticket }) {
  const store = useMemo(() => new Store(ref), [ref]);
  useEffect(() => {
    store.open();
    return () => store.close();
  }, [store]);
  useEffect(() => {
    if (connection.value.state === 'live') sendUnsent();
  }, [connection.value.state]);
  const state = store.state.value;
  const name = state === 'ready' ? store.live.value.board.value?.name : null;
  useEffect(() => {
    if (name && !ticket) document.title = `${name} · ${t('app.name')}`;
  }, [name, ticket]);
  if (state === 'loading') return html`<${Frame} bar=${html`<span></span>`}><${Skeleton} /><//>`;
  if (state !== 'ready' || !store.live.value.board.value) return html`<${Missing} store=${store} />`;
  const bar = html`<a class="button quiet" href="/boards"><strong class="cut">${name}</strong></a><span class="spread"></span><${Viewers} store=${store} /><${Live} />`;
  return html`<${Frame} bar=${bar}><${Banners} store=${store} /><main class="board" id="content"><h1 class="unseen">${name}</h1><${Columns} store=${store} selection=${NONE} /><${Beside} store=${store} ticket=${ticket} /></main><//>`;
}
