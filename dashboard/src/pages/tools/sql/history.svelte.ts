/** What was run in this browser, the newest first, and what is being written. */
export interface Ran {
  sql: string;
  at: string;
  ms: number;
  /** Rows of the answer, or rows written. */
  rows: number;
  failed: boolean;
}

const KEY = 'pando.sql.history';
const DRAFT = 'pando.sql.draft';
const KEPT_MAX = 100;
/** A script beyond it is not kept: storage is small. */
const KEPT_CHARS_MAX = 20_000;

function stored(): Ran[] {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? '[]') as unknown;
    return Array.isArray(found) ? found.filter((one: Partial<Ran>) => typeof one?.sql === 'string' && typeof one.at === 'string') : [];
  } catch {
    return [];
  }
}

function store(key: string, value: string): void {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    // A full storage keeps what it has.
  }
}

class History {
  all = $state.raw<Ran[]>(stored());

  add(ran: Ran): void {
    if (ran.sql.length > KEPT_CHARS_MAX) return;
    this.all = [ran, ...this.all.filter((one) => one.sql !== ran.sql)].slice(0, KEPT_MAX);
    store(KEY, JSON.stringify(this.all));
  }

  clear(): void {
    this.all = [];
    store(KEY, '');
  }

  get draft(): string {
    return localStorage.getItem(DRAFT) ?? '';
  }

  set draft(text: string) {
    if (text.length <= KEPT_CHARS_MAX) store(DRAFT, text);
  }
}

export const history = new History();
