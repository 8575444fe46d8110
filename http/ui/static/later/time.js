// The time bar: a slider over the log of the board, with what moves it.
import './strings.js';
import { html, useEffect, useMemo, useRef, useSignal } from '../vendor/preact.js';
import { Icon, say } from '../lib/parts.js';
import { place, setQuery } from '../lib/router.js';
import { exact, moment, number, t } from '../lib/strings.js';
import { backToNow } from '../board/time.js';
import { copyText } from './copy.js';
import { SPEEDS, Traveller } from './travel.js';
import { said } from './words.js';

const RANGE = 1000; // of the slider, from the first moment to now

export function Bar({ store, open, fold }) {
  const travel = useMemo(() => new Traveller(store), [store]);
  useEffect(() => {
    travel.changed = (ids, event, gone) => stepped(store, ids, event, gone);
    travel.loadPulse(false);
    return () => travel.close();
  }, [travel]);
  useAddress(store, travel);
  useEscape(store);
  if (!open) return null;
  const past = Boolean(store.past.value);
  const playing = travel.playing.value;
  return html`<section class="time" aria-label=${t('time.bar')}>
    <div class="row time-keys">
      <${Key} icon="left" label=${t('time.step_back')} run=${() => travel.step(-1)} />
      <${Key} icon=${playing ? 'pause' : 'play'} label=${t(playing ? 'time.pause' : 'time.play')} run=${() => travel.play()} />
      <${Key} icon="right" label=${t('time.step_on')} off=${!past} run=${() => travel.step(1)} />
      <select aria-label=${t('time.speed')} title=${t('time.speed_hint')} value=${String(travel.speed.value)} onChange=${(e) => { travel.speed.value = Number(e.target.value); }}>
        ${SPEEDS.map((s) => html`<option key=${s} value=${String(s)}>${t(`time.speed_${s}`)}</option>`)}</select></div>
    <${Track} store=${store} travel=${travel} />
    <${Said} store=${store} travel=${travel} />
    <div class="row time-more">
      <${Jump} travel=${travel} />
      <${Compare} store=${store} travel=${travel} />
      ${past && html`<${CopyLink} store=${store} />`}
      <button class="quiet square" aria-expanded="true" aria-label=${t('time.fold')} title=${t('time.fold')} onClick=${fold}><${Icon} name="down" /></button></div>
  </section>`;
}

// A key stays where it is while it is off, so that the focus is not lost.
const Key = ({ icon, label, run, off = false }) => html`<button class="quiet square" aria-label=${label} title=${label} aria-disabled=${off} onClick=${() => !off && run()}><${Icon} name=${icon} /></button>`;

// useAddress goes where the address says. Within the board the moment stays while
// cards are opened and closed; whoever takes it out of the address goes back to now.
function useAddress(store, travel) {
  const { path, query } = place.value;
  const at = query.get('at');
  const path0 = useRef(path);
  useEffect(() => {
    if (at !== place.peek().query.get('at')) return; // we have written a later one since
    const moved = path !== path0.current;
    path0.current = path;
    const shown = store.moment.peek();
    if (at === null) {
      if (moved && shown) setQuery({ at: String(shown.position) });
      else if (store.past.peek() || store.astray.peek() || travel.busy.peek()) {
        travel.now();
        say(t('time.is_now'));
      }
    } else if (at !== travel.written || !shown) travel.go(/^\d+$/.test(at) ? Number(at) : at.replace(/ (?=\d\d:\d\d$)/, '+'));
  }, [path, at]);
}

// Escape goes back to now, where nothing else takes it.
function useEscape(store) {
  useEffect(() => {
    const key = (e) => {
      if (e.key !== 'Escape' || e.defaultPrevented || !store.past.peek() || document.querySelector('dialog[open], .menu')) return;
      const here = e.target.closest?.('.time');
      if (!here && (e.target.closest?.('input, textarea, select') || location.pathname.includes('/tickets/'))) return;
      backToNow();
    };
    document.addEventListener('keydown', key);
    return () => document.removeEventListener('keydown', key);
  }, [store]);
}

const keyOf = (store) => (id) => (store.shown.peek().fold.tickets.get(id) ?? store.live.peek().fold.tickets.get(id))?.key;

// stepped shows what a step changed.
function stepped(store, ids, event, gone) {
  if (event) say(gone ? said(event, keyOf(store)) : t('time.first'));
  if (ids.length > 30) return;
  const mark = () => {
    if (event) document.querySelectorAll('.card.stepped').forEach((card) => card.classList.remove('stepped'));
    const cards = ids.map((id) => document.querySelector(`.card[data-ticket="${id}"]`)).filter(Boolean);
    for (const card of cards) card.classList.add('stepped');
    if (event) cards[0]?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    setTimeout(() => cards.forEach((card) => card.classList.remove('stepped')), event ? 2000 : 600);
  };
  // After the cards were drawn.
  requestAnimationFrame(() => requestAnimationFrame(mark));
}

const QUIET = 4; // how long a stretch without events is drawn at most, in buckets

// scale lays the buckets out: nights and weekends without events are shortened, so that
// there is room for what happened. x is from 0 to RANGE, time in milliseconds.
function scale({ first, last, buckets }) {
  const start = new Date(first.at).getTime();
  const length = Math.max(1, new Date(last.at).getTime() - start);
  const wide = buckets.map(() => 1);
  for (let i = 0; i < buckets.length; i++) {
    let end = i;
    while (end < buckets.length && !buckets[end].count) end++;
    for (let j = i; j < end; j++) wide[j] = Math.min(1, QUIET / (end - i));
    i = Math.max(i, end - 1);
  }
  const left = [0];
  for (const w of wide) left.push(left.at(-1) + w);
  const all = left.at(-1);
  const bucket = (x) => {
    const after = left.findIndex((l) => l > (x / RANGE) * all);
    return after < 0 ? buckets.length - 1 : after - 1;
  };
  return {
    left, wide, all, bucket,
    x(time) {
      const n = (Math.min(length, Math.max(0, new Date(time) - start)) / length) * buckets.length;
      const i = Math.min(buckets.length - 1, Math.floor(n));
      return ((left[i] + (n - i) * wide[i]) / all) * RANGE;
    },
    time(x) {
      const i = bucket(x);
      return start + ((i + Math.min(1, ((x / RANGE) * all - left[i]) / wide[i])) / buckets.length) * length;
    },
  };
}

// Track is the slider, over ticks of how much happened. Its length is time; its keys go
// by events.
function Track({ store, travel }) {
  const pulse = travel.pulse.value;
  const at = store.moment.value;
  const held = useSignal(null); // where the hand is, while it moves
  const lay = useMemo(() => pulse && scale(pulse), [pulse]);
  const value = held.value ?? (store.past.value && at && lay ? lay.x(at.at) : RANGE);
  const slide = (e) => {
    if (!pulse) return;
    const x = Number(e.target.value);
    held.value = x;
    if (x >= RANGE) travel.now();
    else travel.scrub(travel.events.when(lay.time(x))?.position ?? (pulse.buckets[lay.bucket(x)].position || pulse.first.position));
  };
  const letGo = () => {
    held.value = null;
    travel.settle();
  };
  const keys = (e) => {
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[e.key];
    const page = { PageDown: -1, PageUp: 1 }[e.key];
    if (!way && !page && e.key !== 'Home' && e.key !== 'End') return;
    e.preventDefault();
    e.stopPropagation();
    if (way) travel.step(way);
    else if (e.key === 'End') backToNow();
    else if (!pulse) return;
    else if (e.key === 'Home') travel.go(pulse.first.position);
    else {
      const list = pulse.buckets.filter((b) => b.count);
      const p = travel.position;
      const to = page < 0 ? list.findLast((b) => b.position < p) : list.find((b) => b.position > p);
      if (to && to.position < pulse.last.position) travel.go(to.position);
      else if (page > 0) backToNow();
      else travel.go(pulse.first.position);
    }
  };
  const text = store.past.value && at ? t('time.value', { time: moment(at.at), position: number(at.position) }) : t('time.at_now');
  return html`<div class="time-track" title=${pulse ? `${t('time.activity', { n: number(pulse.total), time: exact(pulse.first.at) })}. ${t('time.quiet')}` : ''}>
    ${pulse && html`<${Ticks} buckets=${pulse.buckets} lay=${lay} upTo=${lay.bucket(value)} mark=${travel.mark.value && lay.x(travel.mark.value.at)} />`}
    <input type="range" min="0" max=${RANGE} step="any" value=${value} aria-label=${t('time.slider')} aria-description=${t('time.slider_hint')} aria-valuetext=${text}
      onInput=${slide} onChange=${letGo} onPointerUp=${letGo} onKeyDown=${keys} /></div>`;
}

const HIGH = 20;

function Ticks({ buckets, lay, upTo, mark }) {
  const most = Math.max(1, ...buckets.map((b) => b.count));
  const bars = (from, to) => {
    let d = '';
    for (let i = from; i < to; i++) {
      const { count } = buckets[i];
      if (count) d += `M${(lay.left[i] + 0.15).toFixed(2)} ${HIGH}v${-Math.max(2, (HIGH * Math.log1p(count)) / Math.log1p(most)).toFixed(1)}h.7V${HIGH}z`;
    }
    return d;
  };
  const wide = lay.all.toFixed(2);
  return html`<svg viewBox="0 0 ${wide} ${HIGH}" preserveAspectRatio="none" aria-hidden="true" class="ticks"><path d=${bars(0, upTo + 1)} class="before" /><path d=${bars(upTo + 1, buckets.length)} />
    ${typeof mark === 'number' && html`<rect x=${(mark / RANGE) * lay.all} width=${lay.all / 300} height=${HIGH} class="mark" />`}</svg>`;
}

// Said is the moment in words, and what happened last.
function Said({ store, travel }) {
  const at = store.moment.value;
  if (!store.past.value || !at) return html`<p class="time-said"><strong>${t('time.at_now')}</strong><span class="soft cut">${travel.pulse.value ? t('time.activity', { n: number(travel.pulse.value.total), time: moment(travel.pulse.value.first.at) }) : ''}</span></p>`;
  const words = at.event ? said(at.event, keyOf(store)) : '';
  return html`<p class="time-said" aria-busy=${travel.busy.value}><strong class="number" title=${exact(at.at)}>${moment(at.at)}<span class="soft"> · ${number(at.position)}</span></strong><span class="cut" title=${words} dir="auto">${words}</span></p>`;
}

function Jump({ travel }) {
  const open = useSignal(false);
  const at = useRef();
  useEffect(() => {
    if (!open.value) return undefined;
    at.current.querySelector('input').focus();
    const outside = (e) => {
      if (!at.current?.contains(e.target)) open.value = false;
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [open.value]);
  const shut = () => {
    open.value = false;
    at.current.querySelector('button').focus();
  };
  const local = (time) => {
    const d = new Date(time);
    return new Date(d.getTime() - d.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  };
  const submit = (e) => {
    e.preventDefault();
    const to = new Date(e.target.elements.at.value);
    if (Number.isNaN(to.getTime())) return;
    shut();
    if (to.getTime() >= Date.now()) backToNow();
    else travel.go(to.toISOString());
  };
  const { first } = travel.pulse.value ?? {};
  return html`<span class="anchor" ref=${at} onKeyDown=${(e) => { if (e.key === 'Escape' && open.value) { e.stopPropagation(); e.preventDefault(); shut(); } }}>
    <button class="quiet square" aria-label=${t('time.jump')} title=${t('time.jump')} aria-expanded=${open.value} onClick=${() => { open.value = !open.value; }}><${Icon} name="due" /></button>
    ${open.value && html`<form class="floating time-jump" onSubmit=${submit}><label class="field"><span>${t('time.jump_label')}</span>
      <input type="datetime-local" name="at" required min=${first && local(first.at)} max=${local(Date.now() + 60_000)} defaultValue=${local(travel.store.moment.value?.at ?? Date.now())} /></label>
      <button class="main">${t('time.jump_go')}</button></form>`}</span>`;
}

const Flag = () => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="M4 14V2.500h8.500l-2 3 2 3H4" /></svg>`;

// Compare marks a moment, and leads to what changed between it and the one shown.
function Compare({ store, travel }) {
  const at = store.past.value ? store.moment.value : null;
  const mark = travel.mark.value;
  const { key } = store.live.value.board.value;
  const [from, to] = mark && at && mark.position > at.position ? [at, mark] : [mark ?? at, mark ? at : null];
  const query = new URLSearchParams({ ...(from && { from: from.position }), ...(to && { to: to.position }) }).toString();
  const toggle = () => {
    if (mark) travel.mark.value = null;
    else {
      travel.mark.value = { position: at.position, at: at.at };
      say(t('time.marked', { time: moment(at.at) }));
    }
  };
  return html`${(at || mark) && html`<button class="quiet" aria-pressed=${Boolean(mark)} aria-label=${t('time.mark')} title=${mark ? t('time.unmark', { time: moment(mark.at) }) : t('time.mark')} onClick=${toggle}><${Flag} /><span class="time-word wide-only">${t('time.mark')}</span></button>`}
    <a class="button quiet" href="/boards/${key}/diff${query && `?${query}`}" aria-label=${t('time.changed')} title=${t('time.changed')}><${Icon} name="diff" /><span class="time-word">${t('time.changed')}</span></a>`;
}

function CopyLink({ store }) {
  const done = useSignal(false);
  const copy = async () => {
    done.value = await copyText(`${location.origin}${location.pathname}?at=${store.moment.peek().position}`, t('time.linked'));
    setTimeout(() => { done.value = false; }, 2000);
  };
  return html`<button class="quiet square" aria-label=${t('time.link')} title=${t('time.link')} onClick=${copy}><${Icon} name=${done.value ? 'check' : 'link'} /></button>`;
}
