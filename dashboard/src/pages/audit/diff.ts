/** What changed, as rows of before and after. */
import type { AuditEntry } from '../../api/insight';

export interface Change {
  field: string;
  before: string | null;
  after: string | null;
}

function written(value: unknown): string | null {
  if (value === undefined || value === null || value === '') return null;
  return typeof value === 'string' ? value : JSON.stringify(value, null, 1);
}

/** Null where the changes were too long to be kept. */
export function changes(entry: AuditEntry): Change[] | null {
  if (entry.changes.cut === true) return null;
  return Object.entries(entry.changes)
    .map(([field, change]) => {
      const { before, after } = typeof change === 'object' ? change : { before: undefined, after: change };
      return { field, before: written(before), after: written(after) };
    })
    .sort((a, b) => a.field.localeCompare(b.field));
}

export interface Piece {
  text: string;
  changed: boolean;
}

/** Two texts of which the middle differs: what they share at both ends is told apart from it. */
export function marked(text: string, other: string | null): Piece[] {
  if (other === null) return [{ text, changed: false }];
  const least = Math.min(text.length, other.length);
  let head = 0;
  while (head < least && text[head] === other[head]) head++;
  let tail = 0;
  while (tail < least - head && text.at(-1 - tail) === other.at(-1 - tail)) tail++;
  const pieces = [
    { text: text.slice(0, head), changed: false },
    { text: text.slice(head, text.length - tail), changed: true },
    { text: text.slice(text.length - tail), changed: false },
  ];
  return pieces.filter((piece) => piece.text);
}
