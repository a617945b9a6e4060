/** What is different between two definitions of a collection, in the order in which people look for it. */
import type { Collection, Field } from '../../api/types';
import { t, type Key } from '../../i18n/index.svelte';
import { indexName } from './sql';

/** What cannot be taken back, or opens something. */
export type Danger = 'data' | 'single' | 'rename' | 'open' | 'shown' | 'signsOut' | 'collection';

export interface Change {
  kind: 'added' | 'removed' | 'changed';
  area: 'collection' | 'field' | 'rule' | 'index' | 'option';
  name: string;
  before?: string;
  after?: string;
  danger?: Danger;
  /** The field that it is about. */
  field?: Field;
}

export const RULES = ['listRule', 'viewRule', 'createRule', 'updateRule', 'deleteRule', 'authRule', 'manageRule'] as const;
export type RuleName = (typeof RULES)[number];
const SHOWN_APART = new Set<string>(['id', 'name', 'type', 'system', 'created', 'updated', 'fields', 'indexes', ...RULES]);
const isEqual = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

export function written(value: unknown): string {
  if (value === undefined || value === null || value === '') return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function ruleText(rule: unknown): string {
  if (rule === null || rule === undefined) return t('api.superusers');
  return rule === '' ? t('api.everybody') : String(rule);
}

const isMany = (field: Field): boolean => Number(field.maxSelect ?? 1) > 1;

function fieldChange(before: Field, after: Field): Change[] {
  const out: Change[] = [];
  for (const option of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [from, to] = [before[option], after[option]];
    if (option === 'id' || isEqual(from, to) || (written(from) === '' && written(to) === '')) continue;
    const change: Change = { kind: 'changed', area: 'field', name: `${after.name}.${option}`, before: written(from), after: written(to), field: before };
    if (option === 'name') Object.assign(change, { name: t('schema.nameOf', { name: before.name }), danger: 'rename' });
    if (option === 'maxSelect' && isMany(before) && !isMany(after)) change.danger = 'single';
    if (option === 'hidden' && from === true) change.danger = 'shown';
    out.push(change);
  }
  return out;
}

function fieldChanges(before: Field[], after: Field[], isView: boolean): Change[] {
  const same = (a: Field, b: Field): boolean => (isView || !a.id || !b.id ? a.name === b.name : a.id === b.id);
  const strip = (field: Field): Field => (isView ? { ...field, id: '' } : field);
  const removed = before.filter((field) => !after.some((one) => same(field, one)));
  const added = after.filter((field) => !before.some((one) => same(field, one)));
  const kept = after.filter((field) => !added.includes(field));
  const out: Change[] = [
    ...removed.map((field): Change => ({ kind: 'removed', area: 'field', name: field.name, before: field.type, field, ...(isView ? {} : { danger: 'data' as const }) })),
    ...added.map((field): Change => ({ kind: 'added', area: 'field', name: field.name, after: field.type, field })),
  ];
  for (const field of kept) {
    const old = before.find((one) => same(one, field));
    if (old) out.push(...fieldChange(strip(old), strip(field)));
  }
  const order = (of: Field[], other: Field[]): string => of.filter((field) => other.some((one) => same(field, one))).map(({ id, name }) => (isView ? name : id || name)).join();
  if (order(before, after) !== order(kept, before)) {
    const names = (of: Field[]): string => of.map(({ name }) => name).join(', ');
    out.push({ kind: 'changed', area: 'field', name: t('schema.order'), before: names(before), after: names(after) });
  }
  return out;
}

function indexChanges(before: string[], after: string[]): Change[] {
  const by = (all: string[]): Map<string, string> => new Map(all.map((text) => [indexName(text), text]));
  const [old, now] = [by(before), by(after)];
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((name) => old.get(name) !== now.get(name))
    .map((name) => {
      const [from, to] = [old.get(name), now.get(name)];
      return { kind: from === undefined ? 'added' : to === undefined ? 'removed' : 'changed', area: 'index', name, before: from ?? '', after: to ?? '' };
    });
}

/** Values by dotted names. Providers go by theirs, so that one that is put in front of others does not change all. */
function leaves(value: unknown, name: string, into: Map<string, unknown>): void {
  const list = Array.isArray(value) && value.some((one) => one && typeof one === 'object');
  if (list) for (const one of value as { name?: string }[]) leaves(one, `${name}.${one.name ?? ''}`, into);
  else if (value && typeof value === 'object' && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value)) leaves(inner, `${name}.${key}`, into);
  } else into.set(name, value);
}

function optionChanges(before: Collection | null, after: Collection): Change[] {
  const out: Change[] = [];
  for (const key of new Set([...Object.keys(before ?? {}), ...Object.keys(after)])) {
    if (SHOWN_APART.has(key) || isEqual(before?.[key], after[key])) continue;
    const [old, now] = [new Map<string, unknown>(), new Map<string, unknown>()];
    leaves(before?.[key], key, old);
    leaves(after[key], key, now);
    for (const name of new Set([...old.keys(), ...now.keys()])) {
      const [from, to] = [written(old.get(name)), written(now.get(name))];
      if (from === to) continue;
      const isSecret = /\.(secret|clientSecret)$/.test(name);
      const change: Change = { kind: 'changed', area: 'option', name, before: from, after: isSecret ? t('schema.newSecret') : to };
      if (name.endsWith('Token.secret')) change.danger = 'signsOut';
      out.push(change);
    }
  }
  return out;
}

export function changesOf(before: Collection | null, after: Collection): Change[] {
  const out: Change[] = [];
  if (before && before.name !== after.name) {
    out.push({ kind: 'changed', area: 'collection', name: t('schema.name'), before: before.name, after: after.name, danger: 'rename' });
  }
  out.push(...fieldChanges(before?.fields ?? [], after.fields, after.type === 'view'));
  for (const rule of RULES) {
    const [from, to] = [before?.[rule], after[rule]];
    if ((before && from === to) || to === undefined || (!before && to === null)) continue;
    const opens = to === '' && rule !== 'authRule';
    out.push({ kind: 'changed', area: 'rule', name: rule, before: before ? ruleText(from) : '', after: ruleText(to), ...(opens ? { danger: 'open' as const } : {}) });
  }
  out.push(...indexChanges(before?.indexes ?? [], after.indexes));
  if (before || after.type === 'view') out.push(...optionChanges(before, after));
  return out;
}

/** How many records a change of a field takes something from, as a filter; nothing where a filter cannot tell. */
export function affected({ danger, field }: Change): string | null {
  if (!field) return null;
  if (danger === 'single') return `${field.name}:length > 1`;
  if (danger !== 'data' || field.type === 'password') return null;
  if (field.type === 'bool') return `${field.name} = true`;
  if (field.type === 'number') return `${field.name} != 0`;
  if (field.type === 'geoPoint') return `${field.name}.lat != 0 || ${field.name}.lon != 0`;
  if (isMany(field)) return `${field.name}:length > 0`;
  return field.type === 'json' ? `${field.name} != null` : `${field.name} != ""`;
}

/** Where else a name is spoken of that would be no more: rules and queries of other collections. */
export function mentions(all: Collection[], of: Collection, changes: Change[]): string[] {
  const gone = changes.flatMap(({ danger, field, area, before }) =>
    danger === 'data' || (danger === 'rename' && area === 'field') ? [field?.name ?? ''] : danger === 'rename' ? [before ?? ''] : [],
  );
  if (!gone.length) return [];
  const words = new RegExp(`\\b(${gone.join('|')})\\b`);
  return all
    .filter((one) => one.id !== of.id)
    .flatMap((one) => {
      const query = String(one.viewQuery ?? '');
      const reads = new RegExp(`\\b${of.name}\\b`).test(query) && words.test(query);
      const rules = RULES.filter((rule) => words.test(String(one[rule] ?? '')));
      return [...(reads ? ['viewQuery'] : []), ...rules].map((place) => `${one.name}.${place}`);
    });
}

export const dangerText = (danger: Danger): string => t(`schema.danger.${danger}` as Key);
