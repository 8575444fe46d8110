// Addresses. `place` is where the person is; links inside the board change it without
// a new page. What belongs to a view (filters, moments) is in the query, so that every
// view can be sent as a link.
import { signal } from '../vendor/preact.js';

const read = () => ({ path: location.pathname.replace(/(.)\/+$/, '$1'), query: new URLSearchParams(location.search) });

export const place = signal(read());

// go opens an address; replace does not leave the old one in the history.
export function go(url, { replace = false } = {}) {
  if (url === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', url);
  place.value = read();
}

// setQuery changes parts of the query; null removes one.
export function setQuery(changes, { replace = true } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '' || value === undefined) query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(location.pathname + (text && `?${text}`), { replace });
}

addEventListener('popstate', () => {
  place.value = read();
});

document.addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const a = event.target.closest?.('a[href]');
  if (!a || a.target || a.hasAttribute('download') || a.origin !== location.origin) return;
  if (/^\/(docs|openapi\.json|health|metrics|api)\b/.test(a.pathname) || (a.hash && a.pathname === location.pathname)) return;
  event.preventDefault();
  go(a.pathname + a.search);
});
