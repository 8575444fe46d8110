// The order of tickets within a column.

const bytes = new TextEncoder();

// compareText orders as Go's strings.Compare does: by UTF-8 bytes, which differs
// from UTF-16 units beyond the Basic Multilingual Plane.
export function compareText(a, b) {
  if (a === b) return 0;
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) {
      if (a.charCodeAt(i) < 0xd800 && b.charCodeAt(i) < 0xd800) return a.charCodeAt(i) < b.charCodeAt(i) ? -1 : 1;
      const x = bytes.encode(a);
      const y = bytes.encode(b);
      for (let j = 0; j < x.length && j < y.length; j++) if (x[j] !== y[j]) return x[j] - y[j];
      return x.length - y.length;
    }
  }
  return a.length - b.length;
}

// byRank orders tickets within a column.
export const byRank = (a, b) => compareText(a.rank, b.rank) || a.id - b.id;
