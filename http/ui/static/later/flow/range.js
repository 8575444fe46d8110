// Which part of the past is shown, kept in the address: range (a number of days, or
// all), or from and to (days of UTC); bucket.
import { html } from '../../vendor/preact.js';
import { setQuery } from '../../lib/router.js';
import { t } from '../../lib/strings.js';

const DAY = 86_400_000;
const PRESETS = ['7', '30', '90', 'all'];
const BUCKETS = ['hour', 'day', 'week'];
const dayOf = (ms) => new Date(ms).toISOString().slice(0, 10);
const isDay = (text) => /^\d{4}-\d{2}-\d{2}$/.test(text ?? '') && !Number.isNaN(Date.parse(text));

// rangeOf reads an address: {preset, from, to, bucket}; from and to are days, to is
// '' for now.
export function rangeOf(query) {
  const bucket = BUCKETS.includes(query.get('bucket')) ? query.get('bucket') : '';
  const from = query.get('from');
  const to = query.get('to');
  if (isDay(from) || isDay(to)) {
    const end = isDay(to) ? to : '';
    return { preset: 'custom', from: isDay(from) ? from : '1970-01-01', to: end, bucket };
  }
  const preset = PRESETS.includes(query.get('range')) ? query.get('range') : '30';
  return { preset, from: preset === 'all' ? '1970-01-01' : dayOf(Date.now() - (Number(preset) - 1) * DAY), to: '', bucket };
}

// nextFriday is what people plan for where they have not said.
export function nextFriday(at = Date.now()) {
  const ahead = (5 - new Date(at).getUTCDay() + 7) % 7 || 7;
  return dayOf(at + ahead * DAY);
}

// pathOf is the request for it. by is the day of "how many by …".
export function pathOf(board, range, items, by) {
  const query = new URLSearchParams({ from: range.from });
  if (range.to) query.set('to', range.to);
  if (range.bucket) query.set('bucket', range.bucket);
  if (items) query.set('items', items);
  query.set('by', by > dayOf(Date.now()) ? by : nextFriday());
  return `/api/statistics/boards/${board}/flow?${query}`;
}

// Picker changes the address. flow is what is shown, null before the first.
export function Picker({ range, flow }) {
  const custom = range.preset === 'custom';
  const today = dayOf(Date.now());
  const choose = (preset) => setQuery({ range: preset === '30' ? null : preset, from: null, to: null }, { replace: false });
  const open = () => setQuery({ range: null, from: flow ? flow.from.slice(0, 10) : range.from, to: range.to || today }, { replace: false });
  const change = (name) => (event) => {
    if (isDay(event.target.value)) setQuery({ [name]: event.target.value });
  };
  return html`<div class="flow-range row wrap no-print" role="group" aria-label=${t('flow.range')}>
    ${PRESETS.map((p) => html`<button key=${p} aria-pressed=${range.preset === p} onClick=${() => choose(p)}>${p === 'all' ? t('flow.range_all') : t('flow.range_days', { n: p })}</button>`)}
    <button aria-pressed=${custom} aria-expanded=${custom} onClick=${custom ? undefined : open}>${t('flow.range_custom')}</button>
    ${custom && html`<label class="row"><span>${t('flow.range_from')}</span><input type="date" value=${range.from} max=${range.to || today} onChange=${change('from')} /></label>
      <label class="row"><span>${t('flow.range_to')}</span><input type="date" value=${range.to || today} min=${range.from} max=${today} onChange=${change('to')} /></label>`}
    <label class="row"><span>${t('flow.bucket')}</span><select value=${range.bucket} onChange=${(e) => setQuery({ bucket: e.target.value || null })}>
      <option value="">${flow && !range.bucket ? t('flow.bucket_auto_is', { name: t(`flow.bucket_${flow.bucket}`) }) : t('flow.bucket_auto')}</option>
      ${BUCKETS.map((b) => html`<option key=${b} value=${b}>${t(`flow.bucket_${b}`)}</option>`)}</select></label>
  </div>`;
}
