// Small parts that every view uses.
import { html, signal, useEffect, useRef, useSignal } from '../vendor/preact.js';
import { announce } from '../vendor/announce.js';
import { refusal, t } from './strings.js';

// Icons are drawn by hand on a grid of 16, one path each.
const ICONS = {
  add: 'M8 3v10M3 8h10',
  close: 'M4 4l8 8M12 4l-8 8',
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.5 10.5 14 14',
  check: 'M3 8.5 6.5 12 13 4.5',
  checklist: 'M2.5 4.5 4 6l2.5-3M2.5 11 4 12.5l2.5-3M9 5h5M9 11.5h5',
  comment: 'M2.5 3.5h11v7.5H7l-3 2.5V11H2.5z',
  blocked: 'M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM4 12l8-8',
  approval: 'M8 2l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V4zM5.8 8l1.6 1.6L10.4 6.4',
  clock: 'M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 5v3.2L10.2 10',
  due: 'M3 4h10v9H3zM3 7h10M5.5 2.5v3M10.5 2.5v3',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  down: 'M4 6l4 4 4-4',
  up: 'M4 10l4-4 4 4',
  left: 'M10 3 5 8l5 5',
  right: 'M6 3l5 5-5 5',
  play: 'M5 3l8 5-8 5z',
  pause: 'M5.5 3v10M10.5 3v10',
  move: 'M2.5 8h11M10 4.5 13.5 8 10 11.5',
  person: 'M8 8.2a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4zM3 13.5c.6-2.4 2.6-3.6 5-3.6s4.4 1.2 5 3.6',
  agent: 'M3.5 5.5h9v7h-9zM8 5.5V3M6 8.5v1M10 8.5v1M1.8 8v2.5M14.2 8v2.5',
  table: 'M2.5 3h11v10h-11zM2.5 6.3h11M2.5 9.7h11M6.5 6.3V13',
  download: 'M8 2.5v7.5M4.8 7 8 10.2 11.2 7M3 13.5h10',
  flow: 'M2.5 13.5v-11M2.5 13.5h11M4.5 10.5l3-3 2 2 4-5',
  settings: 'M8 5.7a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 0 0 0-4.6zM8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6 5 5M11 11l1.4 1.4M12.4 3.6 11 5M5 11l-1.4 1.4',
  history: 'M2.6 8a5.4 5.4 0 1 0 1.7-3.9L2.5 5.8M2.5 2.6v3.2h3.2M8 5v3.2l2.2 1.3',
  diff: 'M5 2.5v8M2.5 8 5 10.5 7.5 8M11 13.5v-8M8.5 8 11 5.5 13.5 8',
  link: 'M6.5 9.5 9.5 6.5M7 4.5 8.7 2.8a2.5 2.5 0 0 1 3.5 3.5L10.5 8M9 11.5 7.3 13.2a2.5 2.5 0 0 1-3.5-3.5L5.5 8',
  filter: 'M2.5 4h11M4.5 8h7M6.5 12h3',
  lanes: 'M2.5 3h11v4h-11zM2.5 9.5h11v4h-11z',
  keys: 'M1.8 4.5h12.4v7.5H1.8zM4 7h.01M6.7 7h.01M9.3 7h.01M12 7h.01M5 9.7h6',
  theme: 'M8 2a6 6 0 1 0 6 6 4.5 4.5 0 0 1-6-6z',
  urgent: 'M8 2.5v7M8 12.8v.01',
  high: 'M4 9l4-4 4 4M4 13l4-4 4 4',
  low: 'M4 6l4 4 4-4',
  out: 'M9.5 3H3.5v10h6M7.5 8h6M11 5.5 13.5 8 11 10.5',
  archive: 'M2.5 3h11v3h-11zM3.5 6v7.5h9V6M6.5 8.5h3',
  freeze: 'M8 2v12M2.8 5l10.4 6M13.2 5 2.8 11',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  edit: 'M3 13l.7-3L10.5 3.2l2.3 2.3L6 12.3z',
  trash: 'M3 4.5h10M6 4.5v-2h4v2M4.5 4.5l.7 9h5.600l.7-9',
};

export const Icon = ({ name, label }) => html`<svg class="icon" viewBox="0 0 16 16" role=${label ? 'img' : undefined} aria-label=${label} aria-hidden=${label ? undefined : 'true'}><path d=${ICONS[name]} /></svg>`;

const initials = (name) => {
  const parts = name.split(/[\s._-]+/).filter(Boolean);
  return ((parts[0]?.[0] ?? '?') + (parts[1]?.[0] ?? parts[0]?.[1] ?? '')).toUpperCase();
};

// Face stands for somebody: round for people, square for agents.
export const Face = ({ name, agent, title }) => html`<span class=${agent ? 'face agent' : 'face'} title=${title ?? name} aria-hidden="true">${initials(name)}</span>`;

// say tells people who cannot see it what happened.
export const say = (text) => announce(text);

// Toasts tell what happened and offer a way out. They stay long enough to be read,
// and as long as the pointer or the focus is in them.
const toasts = signal([]);
let next = 1;

export function toast(text, { kind = '', action, label, life = 7000 } = {}) {
  const id = next++;
  toasts.value = [...toasts.value.slice(-3), { id, text, kind, action, label, life }];
  say(text);
  return id;
}
export const dismiss = (id) => {
  toasts.value = toasts.value.filter((x) => x.id !== id);
};
export const complain = (problem, more = {}) => toast(refusal(problem), { kind: 'red', life: 10_000, ...more });

function Toast({ id, text, kind, action, label, life }) {
  const timer = useRef(0);
  const start = () => {
    timer.current = setTimeout(() => dismiss(id), life);
  };
  const hold = () => clearTimeout(timer.current);
  useEffect(() => {
    start();
    return hold;
  }, [id]);
  return html`<div class="toast ${kind}" onMouseEnter=${hold} onMouseLeave=${start} onFocusIn=${hold} onFocusOut=${start}>
    <span>${text}</span>
    ${action && html`<button class="spread" onClick=${() => { dismiss(id); action(); }}>${label}</button>`}
    <button class=${action ? 'quiet square' : 'quiet square spread'} aria-label=${t('app.close')} onClick=${() => dismiss(id)}><${Icon} name="close" /></button>
  </div>`;
}

export const Toasts = () => html`<section class="toasts" aria-label="Messages">${toasts.value.map((x) => html`<${Toast} key=${x.id} ...${x} />`)}</section>`;

// Dialog is modal; Escape and the button close it. Without onClose it stays until what
// shows it takes it away.
export function Dialog({ title, onClose, children, wide }) {
  const at = useRef();
  useEffect(() => {
    const dialog = at.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      before?.isConnected && before.focus?.();
    };
  }, []);
  return html`<dialog ref=${at} class=${wide ? 'wide' : ''} aria-label=${title} onCancel=${(e) => { e.preventDefault(); onClose?.(); }}
    onMouseDown=${(e) => e.target === at.current && onClose?.()}><div class="inside">
    <div class="row"><h2>${title}</h2>${onClose && html`<button type="button" class="quiet square spread" aria-label=${t('app.close')} onClick=${onClose}><${Icon} name="close" /></button>`}</div>
    ${children}</div></dialog>`;
}

// Field is a labelled input with its hint and what is wrong with it.
export function Field({ label, hint, wrong, children }) {
  return html`<label class="field"><span>${label}</span>${children}${hint && html`<span class="hint">${hint}</span>`}${wrong && html`<span class="wrong" role="alert">${wrong}</span>`}</label>`;
}

// Menu is a button with a list of actions: [{label, icon, run, href, danger}].
export function Menu({ label, icon = 'more', items, text, className = 'quiet square' }) {
  const open = useSignal(false);
  const at = useRef();
  useEffect(() => {
    if (!open.value) return undefined;
    const outside = (e) => {
      if (!at.current?.contains(e.target)) open.value = false;
    };
    document.addEventListener('pointerdown', outside);
    at.current?.querySelector('.menu > *')?.focus();
    return () => document.removeEventListener('pointerdown', outside);
  }, [open.value]);
  const shut = (focus) => {
    open.value = false;
    if (focus) at.current?.querySelector('button')?.focus();
  };
  const keys = (e) => {
    if (e.key === 'Escape' && open.value) {
      e.stopPropagation();
      shut(true);
    }
    if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return;
    const list = [...at.current.querySelectorAll('.menu > *')];
    if (!list.length) return;
    e.preventDefault();
    e.stopPropagation();
    list[(list.indexOf(document.activeElement) + (e.key === 'ArrowDown' ? 1 : list.length - 1)) % list.length].focus();
  };
  return html`<span class="anchor" ref=${at} onKeyDown=${keys}>
    <button class=${className} aria-haspopup="menu" aria-expanded=${open.value} aria-label=${text ? undefined : label} title=${label} onClick=${() => { open.value = !open.value; }}>${text}<${Icon} name=${icon} /></button>
    ${open.value && html`<span class="menu floating" role="menu">${items.filter(Boolean).map((x) => (x.href
      ? html`<a class="button" role="menuitem" href=${x.href} onClick=${() => shut()}>${x.icon && html`<${Icon} name=${x.icon} />`}${x.label}</a>`
      : html`<button role="menuitem" class=${x.danger ? 'danger' : ''} disabled=${x.disabled} onClick=${() => { shut(true); x.run(); }}>${x.icon && html`<${Icon} name=${x.icon} />`}${x.label}</button>`))}</span>`}
  </span>`;
}

// put copies a text. Browsers give the clipboard to safe origins only; over plain http
// the old way is left, which copies what is selected near the button.
async function put(text, near) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'unseen';
  near.after(field);
  field.select();
  document.execCommand('copy');
  field.remove();
  near.focus();
}

// CopyButton copies a text, and says so.
export function CopyButton({ text, label = t('app.copy') }) {
  const copied = useSignal(false);
  const copy = async (event) => {
    await put(text, event.currentTarget);
    copied.value = true;
    say(t('app.copied'));
  };
  return html`<button type="button" onClick=${copy}><${Icon} name=${copied.value ? 'check' : 'copy'} />${copied.value ? t('app.copied') : label}</button>`;
}
