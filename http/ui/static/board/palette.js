// Lists to choose from: the palette with every action, and the short ones (move where,
// assign to whom). What draws them is loaded when the first one opens.
import { html, signal, useEffect } from '../vendor/preact.js';

// asked is what is open: {title, items: [{label, hint, icon, keys, group, on, danger,
// run}], at, free, search, plain}. `at` is the box of what was pressed: the list opens
// beside it. free(text) makes an item of what was typed; search(text) finds more
// items; plain has no search field; start is the
// item that is chosen at first.
export const asked = signal(null);

export function ask(what) {
  asked.value = what;
}

const drawn = signal(null);

export function Palette() {
  const what = asked.value;
  useEffect(() => {
    if (what && !drawn.value) import('../later/palette.js').then((m) => { drawn.value = m.default; }, () => location.reload());
  }, [what]);
  return what && drawn.value ? html`<${drawn.value} ...${what} onClose=${() => { if (asked.peek() === what) asked.value = null; }} />` : null;
}
