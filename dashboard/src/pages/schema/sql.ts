/** SQL, as far as views and indexes need it. */
import type { Collection } from '../../api/types';
import type { Options, Piece } from '../../ui/CodeInput.svelte';
import { tokens } from '../tools/sql/language';

const WORDS = 'SELECT,FROM,WHERE,AS,JOIN,LEFT JOIN,INNER JOIN,ON,GROUP BY,ORDER BY,HAVING,LIMIT,UNION,DISTINCT,AND,OR,NOT,NULL,IS,IN,CASE,WHEN,THEN,ELSE,END,COUNT(,SUM(,AVG(,MIN(,MAX(,COALESCE(,CAST(,DESC,ASC,WITH'.split(',');
const COMPLETIONS_MAX = 30;

const isKeyword = (word: string): boolean => tokens(word)[0]?.kind === 'keyword';

export function highlight(text: string): Piece[] {
  return tokens(text).map(({ kind, text: piece }) => ({
    text: piece,
    kind: kind === 'word' ? 'name' : kind === 'other' ? (piece.trim() ? 'sign' : undefined) : kind,
  }));
}

/** The collections that a query reads, by the names that it calls them. */
function sources(text: string, all: Collection[]): Map<string, Collection> {
  const found = new Map<string, Collection>();
  for (const [, name, alias] of text.matchAll(/\b(?:from|join|,)\s*[`"[]?(\w+)[`"\]]?(?:\s+(?:as\s+)?(\w+))?/gi)) {
    const collection = all.find((one) => one.name === name);
    if (!collection) continue;
    found.set(collection.name, collection);
    if (alias && !isKeyword(alias)) found.set(alias, collection);
  }
  return found;
}

export function complete(text: string, cursor: number, all: Collection[]): Options {
  const before = text.slice(0, cursor);
  const word = /[\w.]*$/.exec(before)?.[0] ?? '';
  const from = cursor - word.length;
  const read = sources(text, all);
  const [owner, dotted] = word.split('.');
  const options =
    dotted !== undefined
      ? (read.get(owner ?? '')?.fields ?? []).map((field) => ({ text: `${owner}.${field.name}`, hint: field.type }))
      : /\b(from|join)\s+\w*$/i.test(before)
        ? all.map((one) => ({ text: one.name, hint: one.type }))
        : [
            ...[...read].map(([name, { type }]) => ({ text: `${name}.`, hint: type })),
            ...[...new Set(read.values())].flatMap((one) => one.fields.map((field) => ({ text: field.name, hint: `${one.name} · ${field.type}` }))),
            ...(word ? WORDS.map((one) => ({ text: one, hint: '' })) : []),
          ];
  const lower = word.toLowerCase();
  const fits = options.filter((one) => one.text.toLowerCase().startsWith(lower) && one.text !== word);
  return { from, options: [...new Map(fits.map((one) => [one.text, one])).values()].slice(0, COMPLETIONS_MAX) };
}

export interface Index {
  name: string;
  unique: boolean;
  columns: string[];
  where: string;
}

/** An index statement whose columns are plain; null for what only its text can say. */
export function parsedIndex(text: string): Index | null {
  const whole = /^\s*create\s+(unique\s+)?index\s+(?:if\s+not\s+exists\s+)?[`"[']?(\w+)[`"\]']?\s+on\s+[`"[']?(\w+)[`"\]']?\s*\(([^()]*)\)\s*(?:where\s+([\s\S]+?))?\s*$/i.exec(text);
  if (!whole) return null;
  const columns = (whole[4] ?? '').split(',').map((one) => one.trim()).filter(Boolean);
  return { name: whole[2] ?? '', unique: Boolean(whole[1]), columns, where: whole[5] ?? '' };
}

export const bare = (column: string): string => /^[`"[']?(\w+)/.exec(column)?.[1] ?? column;
export const indexName = (text: string): string => /\bindex\s+(?:if\s+not\s+exists\s+)?[`"[']?(\w+)/i.exec(text)?.[1] ?? text;

export function indexText({ name, unique, columns, where }: Index, table: string): string {
  const list = columns.map((one) => (/^\w+$/.test(one) ? `\`${one}\`` : one));
  const inside = list.length > 1 ? `\n  ${list.join(',\n  ')}\n` : list.join('');
  return `CREATE ${unique ? 'UNIQUE ' : ''}INDEX \`${name}\` ON \`${table}\` (${inside})${where ? ` WHERE ${where}` : ''}`;
}

/** A column's new name in a statement. */
export function renamedColumn(text: string, from: string, to: string): string {
  const at = text.indexOf('(');
  if (at < 0) return text;
  const pieces = highlight(text.slice(at)).map(({ text: piece, kind }) => {
    if (kind !== 'name') return piece;
    const plain = bare(piece);
    return plain === from ? piece.replace(plain, to) : piece;
  });
  return text.slice(0, at) + pieces.join('');
}
