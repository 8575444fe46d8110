// The board page: the bar, the columns, and beside them the card that the address names.
import { html, signal, useEffect, useMemo, useRef, useSignal } from '../vendor/preact.js';
import { connection } from '../lib/live.js';
import { Face, Icon, Menu } from '../lib/parts.js';
import { go } from '../lib/router.js';
import { me } from '../lib/session.js';
import { exact, refusal, t } from '../lib/strings.js';
import { Frame } from '../pages/frame.js';
import { sendUnsent, unsent } from './actions.js';
import { Column } from './column.js';
import { toggle } from './choose.js';
import { ColumnMenu, EmptyBoard } from './columnmenu.js';
import * as dnd from './dnd.js';
import { FilterBar, FilterLine, NoMatch } from './filter.js';
import { focusCard, keeper } from './focus.js';
import { glider } from './glide.js';
import { here } from './keys.js';
import { Lanes } from './lanes.js';
import { touched } from './quick.js';
import { extend, Refused, SelectionBar } from './select.js';
import { Store } from './store.js';
import { onTheWay, Past, TimeBar } from './time.js';
import { View } from './view.js';

// Live says whether what is seen is what is.
function Live({ store }) {
  const { state } = store.past.value ? { state: 'past' } : connection.value;
  const title = t({ live: 'live.title', past: 'time.read_only' }[state] ?? 'live.title_connecting');
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
  return html`<${Past} store=${store} />${state === 'offline' && html`<p class="notice red" role="alert">${t('wrong.offline_since', { time: exact(since) })}${unsent.value.length > 0 && html` <strong>${t('wrong.waiting', { n: unsent.value.length })}</strong>`}</p>`}
    ${state !== 'offline' && unsent.value.length > 0 && html`<p class="notice" role="status">${t('wrong.waiting', { n: unsent.value.length })}</p>`}
    ${board.archived && html`<p class="notice">${t('board.archived')}</p>`}
    ${board.frozen && !board.archived && html`<p class="notice"><${Icon} name="freeze" />${t('board.frozen')}</p>`}<${EmptyBoard} store=${store} />`;
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

// picker answers a click on a card: alone it opens the card, with Ctrl or Shift it
// selects; so does a touch once something is selected.
const picker = (store, view) => (event, ticket) => {
  if (event.defaultPrevented || event.button !== 0 || event.target.closest('button')) return;
  if (event.ctrlKey || event.metaKey || (touched && view.picked.peek().size)) {
    event.preventDefault();
    toggle(view, ticket.id);
  } else if (event.shiftKey) {
    event.preventDefault();
    extend(view, ticket.id);
  } else {
    event.preventDefault();
    view.roving.value = ticket.id;
    go(`/boards/${store.shown.peek().board.peek().key}/tickets/${ticket.key}${location.search}`);
  }
};

// hover follows the pointer over cards.
const hover = (view) => ({
  onPointerOver: (e) => {
    if (e.pointerType !== 'touch') view.hover.value = Number(e.target.closest('[data-ticket]')?.dataset.ticket) || null;
  },
  onPointerLeave: () => { view.hover.value = null; },
  // Shift would select text.
  onMouseDown: (e) => e.shiftKey && e.target.closest('[data-ticket]') && e.preventDefault(),
});

function Columns({ store, view }) {
  const model = store.shown.value;
  const board = model.board.value;
  const root = useRef();
  const past = Boolean(store.past.value);
  useEffect(() => (past ? undefined : dnd.watch(store, view, root.current)), [model, past]);
  useEffect(() => {
    const focus = keeper(view, root.current);
    const glide = glider(() => root.current);
    store.moving = glide.moving;
    store.drawn = () => {
      glide.drawn();
      focus.mend();
    };
    return () => {
      focus.end();
      store.moving = store.drawn = null;
    };
  }, [store]);
  const pick = useMemo(() => picker(store, view), [store]);
  const events = useMemo(() => hover(view), [view]);
  const nothing = view.filter.passes.value?.size === 0 && model.placed.size > 0;
  if (nothing) return html`<div class="columns" ref=${root}><${NoMatch} view=${view} /></div>`;
  if (view.by.value) return html`<div class="columns laned" ref=${root} tabindex="-1" ...${events}><${Lanes} store=${store} view=${view} model=${model} onPick=${pick} /></div>`;
  return html`<div class="columns" ref=${root} tabindex="-1" ...${events}>${board.columns.map((c) => html`<${Column} key=${c.id} store=${store} view=${view} model=${model} column=${c} onPick=${pick} menu=${html`<${ColumnMenu} store=${store} board=${board} column=${c} />`} />`)}</div>`;
}

// Tabs are the columns of a phone, where one shows at a time.
function Tabs({ store, view }) {
  const model = store.shown.value;
  const { columns } = model.board.value;
  const seen = useSignal(0);
  const at = useRef();
  useEffect(() => {
    const board = document.querySelector('.columns');
    if (!board) return undefined;
    const follow = () => {
      const middle = board.scrollLeft + board.clientWidth / 2;
      const i = [...board.querySelectorAll('[data-column]')].findIndex((c) => c.offsetLeft + c.offsetWidth >= middle);
      if (i >= 0) seen.value = i;
    };
    board.addEventListener('scroll', follow, { passive: true });
    return () => board.removeEventListener('scroll', follow);
  }, [model, view.by.value, columns.length]);
  useEffect(() => {
    at.current?.children[seen.value]?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [seen.value]);
  const show = (id) => document.querySelector(`.columns [data-column="${id}"]`)?.scrollIntoView({ inline: 'center', block: 'nearest', behavior: 'smooth' });
  return html`<nav class="column-tabs narrow-only no-print" aria-label=${t('board.columns')} ref=${at}>${columns.map((c, i) => html`<button key=${c.id} class="quiet" aria-current=${i === seen.value ? 'true' : undefined} onClick=${() => show(c.id)}><span class="cut" dir="auto">${c.name}</span> <span class="count number">${model.cell(c.id).value.length}</span></button>`)}</nav>`;
}

// The card's panel comes with the first card that is opened.
const Panel = signal(null);
function Beside({ store, ticket }) {
  useEffect(() => {
    if (ticket && !Panel.value) import('../later/panel.js').then((m) => { Panel.value = m.default; }, () => { Panel.value = () => html`<p class="notice red">${t('app.new_version')}</p>`; });
  }, [ticket]);
  return ticket && Panel.value ? html`<${Panel.value} key=${ticket} store=${store} ticket=${ticket} />` : null;
}

// Bar is the top bar of a board.
function Bar({ store, view, name }) {
  const base = `/boards/${store.live.value.board.value.key}`;
  const links = [['flow', 'flow'], ['diff', 'diff'], ['settings', 'settings']].map(([page, icon]) => ({ label: t(`nav.${page}`), icon, href: `${base}/${page}` }));
  return html`<a class="button quiet board-name" href="/boards" title=${t('nav.boards')}><strong class="cut">${name}</strong></a>
    <${FilterBar} store=${store} view=${view} /><span class="spread"></span><${Viewers} store=${store} /><${Live} store=${store} />
    <span class="row links wide-only">${links.map((l) => html`<a key=${l.href} class="button quiet square" href=${l.href} aria-label=${l.label} title=${l.label}><${Icon} name=${l.icon} /></a>`)}</span>
    <span class="narrow-only"><${Menu} label=${t('nav.more')} items=${links} /></span>`;
}

export function BoardPage({ board: ref, ticket }) {
  const store = useMemo(() => new Store(ref), [ref]);
  const view = useMemo(() => new View(store), [store]);
  useEffect(() => {
    const ui = { store, view };
    here.value = ui;
    const end = view.filter.open();
    store.open();
    return () => {
      if (here.peek() === ui) here.value = null;
      end();
      store.close();
    };
  }, [store]);
  const waiting = unsent.value.length > 0;
  useEffect(() => {
    if (connection.value.state !== 'live') return undefined;
    sendUnsent();
    // A request may be lost where the live feed is not.
    const timer = waiting ? setInterval(sendUnsent, 3000) : 0;
    return () => clearInterval(timer);
  }, [connection.value.state, waiting]);
  const state = store.state.value;
  const name = state === 'ready' ? store.live.value.board.value?.name : null;
  useEffect(() => {
    if (name && !ticket) document.title = `${name} · ${t('app.name')}`;
  }, [name, ticket]);
  // The focus goes back to the card whose panel was shut.
  useEffect(() => (ticket ? () => requestAnimationFrame(() => {
    const id = store.shown.peek()?.byKey(ticket)?.id;
    if (id && document.activeElement === document.body) focusCard(view, id);
  }) : undefined), [ticket]);
  if (state === 'loading') return html`<${Frame} bar=${html`<span></span>`}><${Skeleton} /><//>`;
  if (state !== 'ready' || !store.live.value.board.value) return html`<${Missing} store=${store} />`;
  return html`<${Frame} bar=${html`<${Bar} store=${store} view=${view} name=${name} />`}><${Banners} store=${store} /><${FilterLine} store=${store} view=${view} /><${Tabs} store=${store} view=${view} />
    ${onTheWay(store) ? html`<${Skeleton} />` : html`<main class="board" id="content"><h1 class="unseen">${name}</h1><${Columns} store=${store} view=${view} /><${Beside} store=${store} ticket=${ticket} /><${SelectionBar} store=${store} view=${view} /><${Refused} /></main>`}<${TimeBar} store=${store} /><//>`;
}
