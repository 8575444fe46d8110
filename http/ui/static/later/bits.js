// What the pages of settings, agents and account share: sections, questions before
// something is done, and drafts that outlive a look at another page.
import { html, signal, useEffect, useSignal } from '../vendor/preact.js';
import { Dialog, Field } from '../lib/parts.js';
import { refusal, t } from '../lib/strings.js';

// Section is one sheet of a page, which its address's fragment can name.
export const Section = ({ id, title, lead, children }) => html`<section class="sheet" id=${id} aria-labelledby="${id}-title">
  <header><h2 id="${id}-title">${title}</h2>${lead && html`<p>${lead}</p>`}</header>${children}</section>`;

// Ask is a form in a dialog. run gets the fields; the dialog closes when it is done,
// and says why where it is refused. word has to be typed before.
export function Ask({ title, children, label, danger, word, run, onClose }) {
  const busy = useSignal(false);
  const wrong = useSignal(null);
  const typed = useSignal('');
  const submit = async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(event.target));
    busy.value = true;
    wrong.value = null;
    try {
      await run(fields);
      onClose();
    } catch (err) {
      wrong.value = err;
      busy.value = false;
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}><form class="stack" onSubmit=${submit}>
    ${typeof children === 'function' ? children(wrong.value?.fields ?? {}) : children}
    ${word && html`<${Field} label=${t('settings.type_word', { word })}><input autocomplete="off" autocapitalize="none" spellcheck=${false} value=${typed.value} onInput=${(e) => { typed.value = e.target.value; }} autofocus /><//>`}
    ${wrong.value && html`<p class="wrong" role="alert">${refusal(wrong.value)}</p>`}
    <div class="row wrap"><button class=${danger ? 'danger' : 'main'} disabled=${busy.value || (word && typed.value.trim() !== word)}>${label}</button><button type="button" onClick=${onClose}>${t('app.cancel')}</button></div>
  </form><//>`;
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const kept = new Map(); // name to the draft that was left unsaved
const dirty = signal(new Set());

// unsaved names the drafts that are not saved.
export const unsaved = dirty;

addEventListener('beforeunload', (event) => {
  if (dirty.peek().size) event.preventDefault();
});

function mark(name, yes) {
  if (dirty.peek().has(name) === yes) return;
  const next = new Set(dirty.peek());
  if (yes) next.add(name);
  else next.delete(name);
  dirty.value = next;
}

// useDraft is a copy of part of the board to be changed: {value, set, dirty, version,
// theirs, mine, drop}. It follows the board while nothing was changed in it; where both
// changed, theirs is what the board has now, and the person chooses. What is left
// unsaved is there again when the page comes back. set takes the new value, or a function
// of the present one.
export function useDraft(name, now, boardVersion) {
  const state = useSignal(kept.get(name) ?? { base: now, value: now, version: boardVersion });
  const set = (next) => {
    state.value = next;
    const changed = !same(next.value, next.base);
    mark(name, changed);
    if (changed) kept.set(name, next);
    else kept.delete(name);
  };
  useEffect(() => {
    const s = state.peek();
    if (same(now, s.base)) set({ ...s, version: Math.max(s.version, boardVersion), theirs: undefined });
    else if (same(s.value, s.base) || same(s.value, now)) set({ base: now, value: now, version: boardVersion });
    else if (!same(now, s.theirs)) set({ ...s, theirs: now });
  }, [boardVersion, JSON.stringify(now)]);
  const s = state.value;
  return {
    value: s.value,
    version: s.version,
    theirs: s.theirs,
    dirty: !same(s.value, s.base),
    set: (value) => set({ ...state.peek(), value: typeof value === 'function' ? value(state.peek().value) : value }),
    saved: (value, version) => set({ base: value, value, version }),
    drop: () => set({ base: now, value: now, version: boardVersion }),
    mine: () => set({ base: now, value: state.peek().value, version: boardVersion }),
  };
}

// Saves is the foot of a section with a draft: what is unsaved, and what to do with it.
export function Saves({ draft, busy, wrong }) {
  if (!draft.dirty && !wrong) return null;
  return html`<div class="stack saves">
    ${draft.theirs && html`<p class="notice" role="alert">${t('settings.theirs')} <span class="row spread"><button type="button" onClick=${draft.drop}>${t('settings.take_theirs')}</button><button type="button" onClick=${draft.mine}>${t('settings.keep_mine')}</button></span></p>`}
    ${wrong && html`<p class="wrong" role="alert">${refusal(wrong)}</p>`}
    ${draft.dirty && html`<div class="row wrap"><button class="main" disabled=${busy || draft.theirs !== undefined}>${t('settings.save')}</button><button type="button" disabled=${busy} onClick=${draft.drop}>${t('settings.discard')}</button><span class="soft">${t('settings.unsaved')}</span></div>`}
  </div>`;
}
