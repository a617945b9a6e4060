/** SQL, as far as views and indexes need it. */
import type { Piece } from '../../ui/CodeInput.svelte';
import { tokens } from '../tools/sql/language';

export function highlight(text: string): Piece[] {
  return tokens(text).map(({ kind, text: piece }) => ({
    text: piece,
    kind: kind === 'word' ? 'name' : kind === 'other' ? (piece.trim() ? 'sign' : undefined) : kind,
  }));
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
