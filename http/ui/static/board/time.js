// The time bar, folded: a handle at the bottom of the board, and the notice that says
// that the past is shown. What travels (later/time.js) comes with the first use.
//
// The moment that is shown is in the address, ?at=POSITION or a time: a moment is a
// link. Whoever takes it out of the address goes back to now.
import { html, signal, useEffect } from '../vendor/preact.js';
import { Icon } from '../lib/parts.js';
import { place, setQuery } from '../lib/router.js';
import { exact, moment, number, t } from '../lib/strings.js';

const OPEN = 'kanban.time';
const open = signal(localStorage.getItem(OPEN) === 'open');
let held = false; // the focus was in the bar when it opened or folded
const later = signal(null); // the module, 'missing' after an upgrade

// toggleTime opens the time bar, or folds it; the browser remembers.
export function toggleTime() {
  held = Boolean(document.activeElement?.closest('.time'));
  open.value = !open.value;
  localStorage.setItem(OPEN, open.value ? 'open' : 'folded');
}

// backToNow leaves the past. What had the focus may go with it: then the bar has it.
export function backToNow() {
  setQuery({ at: null });
  requestAnimationFrame(() => requestAnimationFrame(() => {
    if (document.activeElement === document.body) focusBar();
  }));
}

const focusBar = () => document.querySelector('.time-track input, .time.folded button')?.focus({ preventScroll: true });

// onTheWay: a moment was asked for that is not here yet, and now is not what was asked
// for.
export const onTheWay = (store) => place.value.query.has('at') && !store.past.value && !store.astray.value && later.value !== 'missing';

// Past says that what is seen is not what is.
export function Past({ store }) {
  const at = store.moment.value;
  const asked = place.value.query.has('at');
  if (!asked && !store.past.value) return null;
  const astray = store.astray.value;
  let said = html`<span role="status">${t('time.loading')}</span>`;
  if (astray) said = html`<span role="alert">${astray.text}</span>${astray.run && html`<button onClick=${astray.run}>${astray.label}</button>`}`;
  else if (store.past.value && at) said = html`<span title=${exact(at.at)}>${t('time.as_of', { time: moment(at.at), position: number(at.position) })}</span><span class="wide-only">${t('time.read_only')}</span>`;
  return html`<aside class="notice past-notice ${astray && !store.past.value ? 'astray' : ''}" aria-label=${t('time.past')}><${Icon} name="history" />${said}<button class="past-back" onClick=${backToNow}>${t('time.back')}</button></aside>`;
}

// TimeBar is the handle, and the bar once it was opened.
export function TimeBar({ store }) {
  const asked = place.value.query.has('at');
  const needed = open.value || asked;
  const key = store.live.value.board.value.key;
  useEffect(() => visit(key), [key]);
  useEffect(() => {
    if (needed && !later.value) import('../later/time.js').then((m) => { later.value = m; }, () => { later.value = 'missing'; });
  }, [needed]);
  useEffect(() => {
    if (asked) open.value = true; // whoever follows a link to a moment will want to move from it
  }, [asked]);
  const bar = later.value && later.value !== 'missing' && html`<${later.value.Bar} store=${store} open=${open.value} fold=${toggleTime} />`;
  const whole = Boolean(bar && open.value);
  useEffect(() => {
    if (held) focusBar();
    held = false;
  }, [whole]);
  if (whole) return bar;
  return html`${bar}<div class="time folded"><button class="quiet" aria-expanded=${open.value} onClick=${toggleTime}><${Icon} name="history" />${t('time.open')}<${Icon} name="up" /></button>
    ${later.value === 'missing' && needed && html`<span class="soft">${t('app.new_version')}</span>`}</div>`;
}

// Visits. A visit ends when nobody has looked at the board for half an hour; what the
// one before this ended with is where "since my last visit" begins.
const GAP = 30 * 60_000;

function visits(key) {
  try {
    return JSON.parse(localStorage.getItem(`kanban.visit.${key}`)) ?? {};
  } catch {
    return {};
  }
}

// lastVisit is when the visit before this one ended, in milliseconds; null = there was
// none.
export function lastVisit(key) {
  const { before, until } = visits(key);
  return (until && Date.now() - until > GAP ? until : before) ?? null;
}

// visit notes that somebody looks at a board, until the returned function is called.
function visit(key) {
  const look = () => {
    if (document.hidden) return;
    localStorage.setItem(`kanban.visit.${key}`, JSON.stringify({ before: lastVisit(key), until: Date.now() }));
  };
  look();
  const timer = setInterval(look, 60_000);
  return () => clearInterval(timer);
}
