/** As much of SQL as it takes to colour it, and to warn of what writes. What is in force the database says. */
export type TokenKind = 'keyword' | 'word' | 'name' | 'text' | 'number' | 'comment' | 'other';

export interface Token {
  kind: TokenKind;
  text: string;
}

const KEYWORDS = new Set(
  (
    'add all alter analyze and as asc attach autoincrement begin between by cascade case cast check collate column commit conflict constraint ' +
    'create cross current_date current_time current_timestamp database default delete desc detach distinct do drop else end except exists ' +
    'explain false filter first for foreign from full generated group having if ignore ilike in index inner insert intersect interval into is ' +
    'isnull join key last left like limit merge natural not nothing notnull null nulls offset on or order outer over partition pragma primary query ' +
    'recursive references reindex release rename replace restrict returning right rollback row rows savepoint select set show table temp ' +
    'temporary then to transaction trigger true truncate union unique update using vacuum values view when where window with'
  ).split(' '),
);

const TOKENS = [
  ['comment', /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y],
  ['text', /\$(\w*)\$[\s\S]*?(?:\$\1\$|$)|[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)/y],
  ['name', /"(?:[^"]|"")*(?:"|$)|`[^`]*(?:`|$)/y],
  ['number', /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y],
  ['word', /[\p{L}_][\p{L}\p{N}_$]*/uy],
  ['other', /\s+|[^\s]/y],
] as const;

export function tokens(sql: string): Token[] {
  const all: Token[] = [];
  for (let at = 0; at < sql.length; ) {
    for (const [kind, pattern] of TOKENS) {
      pattern.lastIndex = at;
      const text = pattern.exec(sql)?.[0];
      if (!text) continue;
      all.push({ kind: kind === 'word' && KEYWORDS.has(text.toLowerCase()) ? 'keyword' : kind, text });
      at += text.length;
      break;
    }
  }
  return all;
}

/** The words of every statement and its signs, without texts and comments, in small letters. */
function statements(sql: string): string[][] {
  const all: string[][] = [[]];
  for (const { kind, text } of tokens(sql)) {
    if (kind === 'comment' || kind === 'text' || !text.trim()) continue;
    if (text === ';') all.push([]);
    else all.at(-1)?.push(kind === 'name' ? '"' : text.toLowerCase());
  }
  return all.filter((words) => words.length);
}

const READS = new Set(['select', 'values', 'table', 'show', 'explain', 'pragma', 'with', '(']);
const WRITES = ['insert', 'update', 'delete', 'merge', 'replace'];

/** What a statement does to the data: `DELETE`; empty when it reads. */
function written(words: string[]): string {
  const [first = ''] = words;
  if (!READS.has(first)) return first.toUpperCase();
  if (first === 'pragma') return words.includes('=') ? 'PRAGMA' : '';
  if (first === 'explain' && !words.includes('analyze')) return '';
  // SELECT … FOR UPDATE writes nothing, and REPLACE( is a function.
  const found = words.find((word, i) => WRITES.includes(word) && words[i - 1] !== 'for' && words[i + 1] !== '(');
  if (found && first !== 'select') return found.toUpperCase();
  return words.includes('into') ? 'SELECT INTO' : '';
}

export interface Writing {
  /** The kinds of statements that write. */
  kinds: string[];
  /** Whether something goes that is not named one by one: a table, or all of its rows. */
  sweeping: boolean;
}

/** What a script writes; null when it only reads, as far as its words tell. */
export function writing(sql: string): Writing | null {
  const kinds: string[] = [];
  let sweeping = false;
  for (const words of statements(sql)) {
    const kind = written(words);
    if (!kind) continue;
    const whole = (kind === 'DELETE' || kind === 'UPDATE') && !words.includes('where');
    const shown = whole ? `${kind} (…)` : kind;
    if (!kinds.includes(shown)) kinds.push(shown);
    sweeping ||= whole || ['DROP', 'TRUNCATE', 'ALTER'].includes(kind);
  }
  return kinds.length ? { kinds, sweeping } : null;
}

/** A name as it may stand in a statement of every engine. */
export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !KEYWORDS.has(name) ? name : `"${name.replace(/"/g, '""')}"`;
}
