// The palette: a field to type in, and a list of what matches. Arrows choose, Enter
// does it (combobox pattern). The same list without the field is the menu of a card.
import './strings.js';
import { html, useEffect, useId, useMemo, useRef, useSignal } from '../vendor/preact.js';
import { Icon } from '../lib/parts.js';
import { t } from '../lib/strings.js';

const MOST = 60; // items shown

// score tells how well a text matches what was typed: 0 = not at all. All letters must
// be there in their order; whole words and beginnings of words count most.
export function score(text, typed) {
  if (!typed) return 1;
  const s = text.toLowerCase();
  const found = s.indexOf(typed);
  if (found === 0) return 1000 - s.length / 100;
  if (found > 0) return (/[\s-]/.test(s[found - 1]) ? 800 : 500) - found - s.length / 100;
  let at = -1;
  let gaps = 0;
  let starts = 0;
  for (const letter of typed) {
    if (letter === ' ') continue;
    const next = s.indexOf(letter, at + 1);
    if (next < 0) return 0;
    if (next === 0 || /[\s-]/.test(s[next - 1])) starts++;
    else if (next > at + 1) gaps += next - at;
    at = next;
  }
  return Math.max(1, 200 + 30 * starts - 10 * gaps - s.length / 100);
}

function find(items, typed, search, free) {
  const words = typed.trim().toLowerCase();
  if (!words) return items.slice(0, MOST);
  const list = [...items, ...(search?.(words) ?? [])];
  const scored = list.map((item, i) => ({ item, i, n: Math.max(score(item.label, words), item.also ? score(item.also, words) - 1 : 0) })).filter((x) => x.n > 0);
  scored.sort((a, b) => b.n - a.n || a.i - b.i);
  const found = scored.slice(0, MOST).map((x) => x.item);
  if (free && !items.some((x) => x.label.toLowerCase() === words)) found.push(free(typed.trim()));
  return found;
}

// beside is where a list opens: under what was pressed, or over it where there is no
// room. Small screens have it at the bottom instead.
function beside(at) {
  const width = Math.min(320, innerWidth - 16);
  const left = Math.max(8, Math.min(at.left, innerWidth - width - 8));
  return at.bottom + 340 < innerHeight ? { left: `${left}px`, top: `${at.bottom + 4}px`, width: `${width}px` } : { left: `${left}px`, bottom: `${Math.max(8, innerHeight - at.top + 4)}px`, width: `${width}px` };
}

export default function Chooser({ title, items, at, free, search, plain, placeholder, start = 0, onClose }) {
  const id = useId();
  const dialog = useRef();
  const list = useRef();
  const typed = useSignal('');
  const chosen = useSignal(start);
  const found = useMemo(() => find(items, typed.value, search, free), [items, typed.value]);
  const now = Math.min(chosen.value, found.length - 1);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    (plain ? list.current : dialog.current.querySelector('input')).focus();
    return () => {
      dialog.current?.close();
      if (before?.isConnected && (document.activeElement === document.body || !document.activeElement)) before.focus({ preventScroll: true });
    };
  }, []);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  }, [now, found]);
  const run = (item) => {
    onClose();
    // The focus is back where it was by then.
    if (item) setTimeout(item.run);
  };
  const keys = (event) => {
    event.stopPropagation();
    const last = found.length - 1;
    const to = { ArrowDown: now >= last ? 0 : now + 1, ArrowUp: now <= 0 ? last : now - 1, PageDown: Math.min(last, now + 8), PageUp: Math.max(0, now - 8), ...(plain && { Home: 0, End: last }) }[event.key];
    if (to !== undefined) chosen.value = to;
    else if (event.key === 'Enter' && !event.isComposing) run(found[now]);
    else if (event.key === 'Tab') onClose();
    else return;
    event.preventDefault();
  };
  let group = '';
  const head = (item) => {
    if (!item.group || item.group === group || typed.value) return null;
    group = item.group;
    return html`<li class="group" role="presentation" key=${`group ${group}`}>${group}</li>`;
  };
  const active = found[now] ? `${id}-${now}` : undefined;
  return html`<dialog ref=${dialog} class=${at ? 'chooser beside' : 'chooser'} style=${at && innerWidth > 640 ? beside(at) : {}} aria-label=${title} onKeyDown=${keys}
    onCancel=${(e) => { e.preventDefault(); onClose(); }} onMouseDown=${(e) => e.target === dialog.current && onClose()}>
    <p class="chooser-title cut" dir="auto">${title}</p>
    ${!plain && html`<input type="text" role="combobox" aria-expanded="true" aria-controls=${`${id}-list`} aria-activedescendant=${active} aria-autocomplete="list" aria-label=${title} placeholder=${placeholder ?? t('choose.type')} autocomplete="off" spellcheck=${false}
      value=${typed.value} onInput=${(e) => { typed.value = e.target.value; chosen.value = 0; }} />`}
    <ul class="bare" role="listbox" id=${`${id}-list`} ref=${list} aria-label=${title} tabindex=${plain ? 0 : -1} aria-activedescendant=${plain ? active : undefined}>
      ${found.map((item, i) => [head(item), html`<li key=${`${item.group ?? ''} ${item.label} ${item.also ?? ''}`} id=${`${id}-${i}`} role="option" aria-selected=${i === now} class=${item.danger ? 'danger' : ''} onMouseMove=${() => { chosen.value = i; }} onClick=${() => run(item)}>
        ${item.icon ? html`<${Icon} name=${item.icon} />` : html`<span class="icon"></span>`}<span class="cut" dir="auto">${item.label}</span>
        <span class="spread row soft">${item.on && html`<${Icon} name="check" label=${t('choose.on')} />`}${item.hint && html`<span class="number">${item.hint}</span>`}${item.keys && html`<kbd>${item.keys}</kbd>`}</span></li>`])}</ul>
    ${found.length === 0 && html`<p class="soft chooser-none" role="status">${t('choose.none')}</p>`}
    ${!plain && html`<p class="unseen" role="status">${typed.value && found.length ? t('choose.found', { n: found.length }) : ''}</p>`}
  </dialog>`;
}
