// Drafts: what somebody has typed and not sent, by name. They outlive events, lost
// connections, a new sign-in, and the page being loaded again in this tab.
import { signal } from '../../vendor/preact.js';
import { me } from '../../lib/session.js';

const kept = new Map();
const place = (name) => `kanban.draft.${me.peek()?.id}.${name}`;

// draft is the signal of a draft: {text, base?}, null where there is none.
export function draft(name) {
  const at = place(name);
  if (!kept.has(at)) {
    let value = null;
    try {
      value = JSON.parse(sessionStorage.getItem(at));
    } catch {
      // Broken or forbidden storage: the draft lives as long as the page.
    }
    kept.set(at, signal(value));
  }
  return kept.get(at);
}

export function keep(name, value) {
  draft(name).value = value;
  try {
    if (value === null) sessionStorage.removeItem(place(name));
    else sessionStorage.setItem(place(name), JSON.stringify(value));
  } catch {
    // Storage is full or forbidden.
  }
}
