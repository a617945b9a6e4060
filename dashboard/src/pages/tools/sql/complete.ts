/** What a statement could go on with: its tables and their columns, by whatever name it calls them, and words of the language. */
import type { Collection } from '../../../api/types';
import type { Option, Options } from '../../../ui/completion.svelte';
import { quoted, tokens, type Token } from './language';

type Table = Pick<Collection, 'name' | 'type' | 'fields' | 'system'>;

/** Of what reads, the most frequent first. */
const READING = (
  'SELECT,FROM,WHERE,AS,JOIN,LEFT JOIN,INNER JOIN,CROSS JOIN,ON,USING,GROUP BY,ORDER BY,HAVING,LIMIT,OFFSET,UNION,UNION ALL,INTERSECT,' +
  'EXCEPT,DISTINCT,AND,OR,NOT,NULL,IS,IN,LIKE,BETWEEN,EXISTS,CASE,WHEN,THEN,ELSE,END,COUNT(,SUM(,AVG(,MIN(,MAX(,COALESCE(,CAST(,' +
  'LOWER(,UPPER(,LENGTH(,REPLACE(,DESC,ASC,WITH,RECURSIVE,VALUES,OVER,PARTITION BY,TRUE,FALSE'
).split(',');
const WRITING = (
  'INSERT INTO,UPDATE,SET,DELETE FROM,RETURNING,ON CONFLICT,DO NOTHING,DO UPDATE SET,DEFAULT,BEGIN,COMMIT,ROLLBACK,EXPLAIN,ANALYZE,' +
  'CREATE TABLE,CREATE INDEX,CREATE UNIQUE INDEX,CREATE VIEW,ALTER TABLE,ADD COLUMN,RENAME TO,DROP TABLE,DROP INDEX,DROP VIEW,' +
  'IF EXISTS,IF NOT EXISTS,PRIMARY KEY,UNIQUE,CHECK,REFERENCES,FOREIGN KEY,VACUUM'
).split(',');
const WORDS = { query: READING, script: [...READING, ...WRITING] };

/** A table's name comes after them. */
const BEFORE_TABLE = ['from', 'join', 'into', 'update', 'table'];
const COMPLETIONS_MAX = 30;

const isName = (token: Token | undefined): boolean => token?.kind === 'word' || token?.kind === 'name';
/** A name without its quotes, also without the one that is not there yet. */
const bare = (text: string): string => {
  const quote = text[0];
  if (quote !== '"' && quote !== '`') return text;
  const inside = text.slice(1, text.length > 1 && text.endsWith(quote) ? -1 : undefined);
  return inside.replaceAll(quote + quote, quote);
};
const lower = (token: Token | undefined): string => (token?.kind === 'keyword' ? token.text.toLowerCase() : (token?.text ?? ''));
const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** Of the statement in which the caret is: what stands before it, and all of it; without comments and white space. */
function surroundings(before: Token[], after: Token[]): { head: Token[]; all: Token[] } {
  const means = ({ kind, text }: Token): boolean => kind !== 'comment' && text.trim() !== '';
  const isEnd = ({ text }: Token): boolean => text === ';';
  const head = before.slice(before.findLastIndex(isEnd) + 1).filter(means);
  const end = after.findIndex(isEnd);
  return { head, all: [...head, ...after.slice(0, end < 0 ? undefined : end).filter(means)] };
}

/** Whether a name that stands at `end` is a table's: after FROM and the like, or after a comma in such a list. */
function isTable(all: Token[], end: number): boolean {
  let depth = 0;
  for (let at = end - 1; at >= 0; at--) {
    const text = lower(all[at]);
    if (at === end - 1 && text !== ',') return BEFORE_TABLE.includes(text);
    if (text === ')') depth++;
    else if (text === '(' && depth-- === 0) return false;
    else if (depth === 0 && all[at]?.kind === 'keyword' && text !== 'as') return text === 'from';
  }
  return false;
}

/** The tables that a statement names, by the names and aliases that stand for them in it. */
function sources(all: Token[], tables: Table[]): Map<string, Table> {
  const found = new Map<string, Table>();
  all.forEach((token, at) => {
    if (!isName(token) || !isTable(all, at)) return;
    // A schema may stand before it.
    const last = lower(all[at + 1]) === '.' ? at + 2 : at;
    const name = bare(all[last]?.text ?? '');
    const table = tables.find((one) => one.name === name) ?? tables.find((one) => same(one.name, name));
    if (!table) return;
    const next = all[lower(all[last + 1]) === 'as' ? last + 2 : last + 1];
    found.set(next && isName(next) ? bare(next.text) : table.name, table);
  });
  return found;
}

/** Queries that a statement gives names to: WITH name AS (…). */
const common = (all: Token[]): string[] =>
  lower(all[0]) === 'with' ? all.filter((token, at) => isName(token) && lower(all[at + 1]) === 'as' && lower(all[at + 2]) === '(').map(({ text }) => bare(text)) : [];

/**
 * `query` completes what only reads, `script` everything. Without a word that was begun, nothing but tables is proposed, unless it
 * is asked for.
 */
export function complete(text: string, caret: number, asked: boolean, tables: Table[], language: keyof typeof WORDS): Options {
  const nothing: Options = { from: caret, options: [] };
  const before = tokens(text.slice(0, caret));
  const last = before.at(-1);
  const isClosed = last?.kind === 'name' && last.text.length > 1 && last.text.endsWith(last.text[0] ?? '');
  if (last?.kind === 'text' || last?.kind === 'comment' || last?.kind === 'number' || isClosed) return nothing;
  const after = tokens(text.slice(caret));
  if (after[0] && ['word', 'keyword', 'number'].includes(after[0].kind)) return nothing;

  const begun = isName(last) || last?.kind === 'keyword' ? before.pop() : undefined;
  const isQuoted = begun?.kind === 'name';
  const word = begun ? bare(begun.text) : '';
  const { head, all } = surroundings(before, after);
  const read = sources(all, tables);
  const column = (table: Table, hint = ''): Option[] => table.fields.map(({ name, type }) => ({ text: name, hint: hint + type }));

  let names: Option[];
  let words: Option[] = [];
  const isMember = before.at(-1)?.text === '.';
  if (isMember) {
    const owner = bare(before.at(-2)?.text ?? '');
    const of = read.get(owner) ?? [...read].find(([name]) => same(name, owner))?.[1] ?? tables.find(({ name }) => name === owner);
    names = of ? column(of) : [];
  } else if (isTable(head, head.length)) {
    const ownFirst = [...tables].sort((a, b) => Number(a.system) - Number(b.system));
    names = [...common(all).map((name) => ({ text: name, hint: 'with' })), ...ownFirst.map(({ name, type }) => ({ text: name, hint: type }))];
  } else {
    if (!word && !asked && !isQuoted) return nothing;
    names = [...read].flatMap(([name, table]) => column(table, read.size > 1 ? `${name} · ` : ''));
    if (!isQuoted) {
      words = [...read].map(([name, { type }]) => ({ text: `${quoted(name)}.`, hint: type }));
      words.push(...WORDS[language].filter((one) => !same(one, word)).map((one) => ({ text: one, hint: '' })));
    }
  }
  // What is there already needs no completion; with another case or without its quotes, it does.
  const fits = (name: string): boolean => name.toLowerCase().startsWith(word.toLowerCase());
  const named = names.filter(({ text: name }) => fits(name)).map(({ text: name, hint }) => ({ text: isQuoted ? `"${name.replaceAll('"', '""')}"` : quoted(name), hint }));
  const options = [...named, ...words.filter((one) => fits(one.text))].filter((one) => one.text !== begun?.text);
  return {
    from: caret - (begun?.text.length ?? 0),
    options: [...new Map(options.map((one) => [one.text, one])).values()].slice(0, COMPLETIONS_MAX),
  };
}
