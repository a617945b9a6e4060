/** What a record is to become: the values as the editors hold them, and what of it is sent. */
import type { Collection, Field, Item, Values } from '../../../api/types';
import { t } from '../../../i18n/index.svelte';
import { isMultiple } from '../types';

const BLANK: Partial<Record<Field['type'], unknown>> = { bool: false, number: null, json: null, geoPoint: { lon: 0, lat: 0 } };

/** A date of the API for an input of local time, and back. Unset is the empty text. */
export function local(text: string): string {
  const date = new Date(text.replace(' ', 'T'));
  if (Number.isNaN(date.getTime())) return '';
  const shifted = new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, -1);
  return shifted.replace(/\.000$/, '');
}

export function utc(text: string): string {
  const date = new Date(text);
  return text && !Number.isNaN(date.getTime()) ? date.toISOString().replace('T', ' ') : '';
}

export class Draft {
  values = $state<Values>({});
  files = $state<Record<string, File[]>>({});
  /** JSON fields as they are typed. */
  json = $state<Record<string, string>>({});
  problems = $state<Record<string, string>>({});
  private before: string;

  constructor(
    private collection: Collection,
    private record: Item | null,
    /** What a new record begins with. */
    from: Item | null = null,
  ) {
    const source = record ?? from;
    for (const field of collection.fields) {
      const isOwn = record !== null || !this.isFresh(field);
      const blank = isMultiple(field) ? [] : field.type in BLANK ? BLANK[field.type] : '';
      const value = isOwn && source && source[field.name] !== undefined && field.type !== 'password' ? source[field.name] : blank;
      this.values[field.name] = structuredClone(value);
      if (field.type === 'json') this.json[field.name] = value === null ? '' : JSON.stringify(value, null, 2);
    }
    this.before = JSON.stringify(this.values);
  }

  /** What a copy does not take over: identity, secrets, files and times. */
  private isFresh(field: Field): boolean {
    return ['file', 'autodate', 'password'].includes(field.type) || ['id', 'tokenKey'].includes(field.name);
  }

  get isChanged(): boolean {
    return JSON.stringify(this.values) !== this.before || Object.values(this.files).some((files) => files.length > 0) || this.hasProblems;
  }

  get hasProblems(): boolean {
    return Object.values(this.problems).some(Boolean);
  }

  /** Ids or file names of a field, whether it holds one or several. */
  ids(name: string): string[] {
    const value = this.values[name];
    return (Array.isArray(value) ? value : value ? [value] : []) as string[];
  }

  setJson(name: string, text: string): void {
    this.json[name] = text;
    try {
      this.values[name] = text.trim() === '' ? null : JSON.parse(text);
      delete this.problems[name];
    } catch (error) {
      this.problems[name] = t('records.badJson', { why: error instanceof Error ? error.message : '' });
    }
  }

  /** What is sent: all that was entered for a new record, what changed for another. */
  body(): { values: Values; files: [string, File][] } {
    const before = JSON.parse(this.before) as Values;
    const values: Values = {};
    const files: [string, File][] = [];
    for (const field of this.collection.fields) {
      const { name, type } = field;
      if (type === 'autodate') continue;
      const added = this.files[name] ?? [];
      const multiple = isMultiple(field);
      const value = this.values[name];
      const changed = JSON.stringify(value) !== JSON.stringify(before[name]);
      if (type === 'file') {
        const removed = ((Array.isArray(before[name]) ? before[name] : []) as string[]).filter((one) => !this.ids(name).includes(one));
        if (multiple && removed.length) values[`${name}-`] = removed;
        else if (!multiple && changed && !added.length) values[name] = '';
        for (const file of added) files.push([multiple && this.record ? `${name}+` : name, file]);
      } else if (type === 'password') {
        if (!value) continue;
        values[name] = value;
        if (name === 'password') values.passwordConfirm = value;
      } else if (this.record ? changed : value !== '' && value !== null) {
        values[name] = value;
      }
    }
    return { values, files };
  }
}
