// What is wrong with the server, for admins: asked for once, then told by frames. An
// alert that somebody has put away stays away in this browser until it comes anew.
import { computed, effect, html, signal, untracked } from '../vendor/preact.js';
import { get } from './api.js';
import { hearers } from './live.js';
import { Icon } from './parts.js';
import { me } from './session.js';
import { ago, exact, t } from './strings.js';

const KEY = 'kanban.alerts_seen';

// alerts are those that last, the worst first: [{name, severity, message, hint, since}].
export const alerts = signal([]);

const id = (a) => `${a.name} ${a.since}`;
const read = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
};
const seen = signal(read());
const shown = computed(() => alerts.value.filter((a) => !seen.value.includes(id(a))));

const worst = (a, b) => (a.severity === b.severity ? 0 : a.severity === 'critical' ? -1 : 1);

async function load() {
  try {
    alerts.value = (await get('/api/alerts')).items.sort(worst);
  } catch {
    // Whatever stops this shows elsewhere; the next frame tells of news.
  }
}

hearers.add((event, data) => {
  if (event === 'connected' && me.peek()?.admin) load();
  if (event !== 'alert') return;
  const others = alerts.peek().filter((a) => a.name !== data.name);
  alerts.value = data.cleared_at ? others : [...others, data].sort(worst);
});

const admin = computed(() => Boolean(me.value?.admin));
effect(() => {
  const may = admin.value;
  untracked(() => {
    if (may) load();
    else alerts.value = [];
  });
});

// stop ends a sentence that the server left open.
export const stop = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

function hide(a) {
  seen.value = [...seen.value.slice(-20), id(a)];
  localStorage.setItem(KEY, JSON.stringify(seen.value));
}

// Alerts is the banner at the head of every page.
export const Alerts = () => html`<div class="alerts" role="status">${shown.value.map((a) => html`<p class="notice ${a.severity === 'critical' ? 'red' : ''}" key=${id(a)}>
  <${Icon} name="urgent" label=${t(`alert.${a.severity}`)} /><span><strong>${stop(a.message)}</strong> ${a.hint && stop(a.hint)} <span class="small" title=${exact(a.since)}>${t('alert.since', { time: ago(a.since) })}</span></span>
  <button class="quiet square spread" aria-label=${t('alert.hide', { name: a.name })} title=${t('alert.hide', { name: a.name })} onClick=${() => hide(a)}><${Icon} name="close" /></button></p>`)}</div>`;
