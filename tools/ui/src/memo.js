// memo is the one function of preact/compat that is wanted: a component that is
// drawn again only when a property differs.
import { Component, h } from 'preact';

const differ = (a, b) => {
  for (const key in a) if (!(key in b)) return true;
  for (const key in b) if (a[key] !== b[key]) return true;
  return false;
};

export function memo(draw) {
  class Memo extends Component {
    shouldComponentUpdate(next) {
      return differ(this.props, next);
    }
    render(props) {
      return h(draw, props);
    }
  }
  Memo.displayName = `memo(${draw.name})`;
  return Memo;
}
