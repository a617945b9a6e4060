/** The address behind `#`: a path with parameters, and a query that pages keep their state in. */
import { hasUnsaved, mayLeave } from './unsaved.svelte';

export interface Location {
  path: string;
  query: URLSearchParams;
}

function read(): Location {
  const hash = location.hash.replace(/^#/, '') || '/';
  const at = hash.indexOf('?');
  const path = at < 0 ? hash : hash.slice(0, at);
  return { path: path.startsWith('/') ? path : `/${path}`, query: new URLSearchParams(at < 0 ? '' : hash.slice(at + 1)) };
}

class Router {
  current = $state.raw<Location>(read());
  private accepted = location.hash;

  constructor() {
    window.addEventListener('hashchange', () => void this.changed());
  }

  private async changed(): Promise<void> {
    if (location.hash === this.accepted) return;
    const wanted = location.hash;
    if (hasUnsaved()) {
      // The address goes back while the person is asked.
      history.replaceState(null, '', this.accepted || '#/');
      if (!(await mayLeave())) return;
      history.replaceState(null, '', wanted);
    }
    this.accepted = wanted;
    this.current = read();
  }

  /** Goes to a path such as `/collections/posts`. */
  go(to: string): void {
    location.hash = to;
  }

  /** Keeps state in the query without a new entry in the history. Empty values are left out. */
  keep(values: Record<string, string>): void {
    const query = new URLSearchParams(this.current.query);
    for (const [name, value] of Object.entries(values)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    const text = query.toString();
    history.replaceState(null, '', `#${this.current.path}${text ? `?${text}` : ''}`);
    this.accepted = location.hash;
    this.current = read();
  }
}

export const router = new Router();

/** The values of a pattern such as `/collections/:name`, or null where the path is another. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== given.length) return null;
  const values: Record<string, string> = {};
  for (const [i, part] of wanted.entries()) {
    const text = given[i] ?? '';
    if (part.startsWith(':')) {
      try {
        values[part.slice(1)] = decodeURIComponent(text);
      } catch {
        return null;
      }
    } else if (part !== text) return null;
  }
  return values;
}

/** The address of a link: link`/collections/${name}`. */
export function link(texts: TemplateStringsArray, ...values: string[]): string {
  return `#${String.raw({ raw: texts }, ...values.map(encodeURIComponent))}`;
}
