// Markdown into a fragment of the document. What people and agents write is not
// trusted: raw HTML shows as text, pictures from elsewhere are links and not loaded,
// links go to http, https and mailto only, and DOMPurify has the last word.
import { DOMPurify, Marked } from '../../vendor/markdown.js';
import { t } from '../../lib/strings.js';

const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text) => text.replace(/[&<>"']/g, (c) => escapes[c]);

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    // The page has its own headings down to the third level.
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + 3);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
  },
});

const RULES = {
  RETURN_DOM_FRAGMENT: true,
  ALLOWED_TAGS: ['a', 'blockquote', 'br', 'code', 'del', 'em', 'h4', 'h5', 'h6', 'hr', 'input', 'li', 'ol', 'p', 'pre', 'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul'],
  ALLOWED_ATTR: ['align', 'checked', 'disabled', 'href', 'start', 'type'],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

// render returns a fragment; keys of tickets of the board become links.
export function render(text, board) {
  const fragment = DOMPurify.sanitize(marked.parse(text), RULES);
  for (const a of fragment.querySelectorAll('a')) {
    if (!a.hasAttribute('href')) {
      a.replaceWith(...a.childNodes);
      continue;
    }
    a.rel = 'noopener noreferrer';
    if (a.origin !== location.origin) a.target = '_blank';
  }
  for (const box of fragment.querySelectorAll('input')) {
    box.type = 'checkbox';
    box.disabled = true;
    box.ariaLabel = t(box.checked ? 'panel.state_done' : 'panel.state_open');
  }
  if (board) link(fragment, board);
  return fragment;
}

function link(fragment, board) {
  const pattern = new RegExp(`\\b${board}-[1-9]\\d*\\b`, 'g');
  const walker = document.createTreeWalker(fragment, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.parentElement?.closest('a, code, pre') && node.data.match(pattern)) found.push(node);
  }
  for (const node of found) {
    const parts = [];
    let from = 0;
    for (const { 0: key, index } of node.data.matchAll(pattern)) {
      const a = document.createElement('a');
      a.href = `/boards/${board}/tickets/${key}`;
      a.textContent = key;
      parts.push(node.data.slice(from, index), a);
      from = index + key.length;
    }
    node.replaceWith(...parts, node.data.slice(from));
  }
}
