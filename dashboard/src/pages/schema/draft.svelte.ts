/** A collection that is being edited: what it was, what it would be, and what stands against it. */
import * as api from '../../api/schema';
import { failure, failureOf, type Violation } from '../../api/failure';
import type { Collection, Field, FieldType } from '../../api/types';
import { t } from '../../i18n/index.svelte';
import { changesOf } from './changes';
import { renamed } from './rule';
import { bare, parsedIndex, renamedColumn } from './sql';

const CHECK_AFTER_MS = 300;

export interface Row {
  key: number;
  field: Field;
  isNew: boolean;
  isRemoved: boolean;
  /** The name that rules and indexes know it by. */
  known: string;
}

/** What a new field of each type begins with. */
const BEGINNINGS: Record<FieldType, Record<string, unknown>> = {
  text: { min: 0, max: 0, pattern: '', autogeneratePattern: '', primaryKey: false },
  editor: { maxSize: 0, convertURLs: false },
  number: { min: null, max: null, onlyInt: false },
  bool: {},
  email: { onlyDomains: [], exceptDomains: [] },
  url: { onlyDomains: [], exceptDomains: [] },
  date: { min: '', max: '' },
  autodate: { onCreate: true, onUpdate: false },
  select: { values: [], maxSelect: 1 },
  json: { maxSize: 0 },
  file: { maxSelect: 1, maxSize: 0, mimeTypes: [], thumbs: [], protected: false },
  relation: { collectionId: '', cascadeDelete: false, minSelect: 0, maxSelect: 1 },
  password: { min: 8, max: 0, pattern: '', cost: 0 },
  geoPoint: {},
};
export const FIELD_TYPES = Object.keys(BEGINNINGS) as FieldType[];

function beginning(type: FieldType, name: string): Field {
  return { id: '', name, type, system: false, hidden: false, presentable: false, ...(type === 'autodate' ? {} : { required: false, help: '' }), ...BEGINNINGS[type] };
}

/** Of the type's own name, the first that nobody has. */
function freeName(wanted: string, rows: Row[]): string {
  const taken = (name: string): boolean => rows.some(({ field }) => field.name.toLowerCase() === name.toLowerCase());
  for (let n = 1; ; n++) {
    const name = n === 1 ? wanted : `${wanted}${n}`;
    if (!taken(name)) return name;
  }
}

let keys = 0;
const row = (field: Field, isNew: boolean): Row => ({ key: ++keys, field, isNew, isRemoved: false, known: field.name });

export class Draft {
  /** All but the fields. */
  form = $state() as Collection;
  rows = $state<Row[]>([]);
  /** Until a save was tried, nobody is told that something is missing. */
  isTried = $state(false);
  busy = $state(false);
  problem = $state('');
  private found = $state.raw<Record<string, Violation>>({});
  /** As the server would have it: a view's fields are told by it. */
  checked = $state.raw<Collection | null>(null);

  /** As it is saved; null for a new one. */
  readonly before: Collection | null;
  private readonly initial: string;

  readonly after = $derived.by((): Collection => {
    const kept = this.form.type === 'view' ? (this.checked?.fields ?? this.form.fields) : this.rows.filter((one) => !one.isRemoved).map((one) => one.field);
    const form = $state.snapshot(this.form) as Collection;
    // An index goes with its field, and comes back with it.
    const gone = this.rows.filter((one) => one.isRemoved).map((one) => one.known);
    const indexes = form.indexes.filter((text) => !parsedIndex(text)?.columns.some((column) => gone.includes(bare(column))));
    return { ...form, indexes, fields: $state.snapshot(kept) as Field[] };
  });
  readonly changes = $derived.by(() => changesOf(this.before, this.after));
  readonly isChanged = $derived.by(() => (this.before ? this.changes.length > 0 : JSON.stringify(this.after) !== this.initial));
  readonly dangers = $derived(this.changes.filter(({ danger }) => danger));
  /** As text, so that what comes of a check is no reason for another. */
  private readonly asked = $derived.by(() => JSON.stringify(this.body()));
  readonly errors = $derived.by(() => {
    const all = Object.entries(this.found).filter(([, { code }]) => this.isTried || code !== 'validation_required');
    return new Map(all.map(([name, { message }]) => [name, message]));
  });
  constructor(before: Collection | null, from: Collection) {
    this.before = before;
    this.form = structuredClone(from);
    this.rows = from.fields.map((field) => row(structuredClone(field), before === null && !field.system));
    this.initial = JSON.stringify(this.after);
  }

  /** Whether its rules, name and options are not to be changed. */
  get isFixed(): boolean {
    return this.before?.system === true;
  }

  /** What was said of a value, or of one within it. */
  error(name: string): string | undefined {
    return this.errors.get(name) ?? [...this.errors].find(([key]) => key.startsWith(`${name}.`))?.[1];
  }

  errorOf(one: Row, option: string): string | undefined {
    const at = this.rows.filter((other) => !other.isRemoved).indexOf(one);
    return at < 0 ? undefined : this.error(`fields.${at}${option && `.${option}`}`);
  }

  count(prefixes: string[]): number {
    return [...this.errors.keys()].filter((key) => prefixes.some((prefix) => key === prefix || key.startsWith(`${prefix}.`))).length;
  }

  add(type: FieldType): Row {
    const made = row(beginning(type, freeName(type === 'autodate' ? 'created' : 'field', this.rows)), true);
    // Times stay last, where people expect them.
    let at = this.rows.length;
    if (type !== 'autodate') while (at > 0 && this.rows[at - 1]?.field.type === 'autodate') at--;
    this.rows.splice(at, 0, made);
    return this.rows[at] ?? made;
  }

  duplicate(one: Row): void {
    const field = { ...$state.snapshot(one.field), id: '', system: false, name: freeName(`${one.field.name}_copy`, this.rows) } as Field;
    if (field.primaryKey) field.primaryKey = false;
    this.rows.splice(this.rows.indexOf(one) + 1, 0, row(field, true));
  }

  remove(one: Row): void {
    if (one.isNew) this.rows = this.rows.filter((other) => other.key !== one.key);
    else one.isRemoved = true;
  }

  move(one: Row, to: number): void {
    const from = this.rows.findIndex((other) => other.key === one.key);
    if (to < 0 || to >= this.rows.length || from < 0 || from === to) return;
    const [taken] = this.rows.splice(from, 1);
    if (taken) this.rows.splice(to, 0, taken);
  }

  /** Its own rules, indexes and options go by the new name at once. */
  rename(one: Row): void {
    const [from, to] = [one.known, one.field.name.trim()];
    one.field.name = to;
    if (from === to || !/^\w+$/.test(to)) return;
    one.known = to;
    if (one.isNew) return;
    const form = this.form as Collection & Partial<api.AuthOptions>;
    for (const rule of ['listRule', 'viewRule', 'createRule', 'updateRule', 'deleteRule', 'authRule', 'manageRule'] as const) {
      if (form[rule]) form[rule] = renamed(form[rule] as string, from, to);
    }
    if (form.mfa?.rule) form.mfa.rule = renamed(form.mfa.rule, from, to);
    form.indexes = form.indexes.map((text) => renamedColumn(text, from, to));
    if (form.passwordAuth) form.passwordAuth.identityFields = form.passwordAuth.identityFields.map((name) => (name === from ? to : name));
    const mapped = form.oauth2?.mappedFields;
    for (const key of Object.keys(mapped ?? {}) as (keyof NonNullable<typeof mapped>)[]) if (mapped?.[key] === from) mapped[key] = to;
  }

  /** What is sent: of a collection that is there, only what changed. */
  private body(): Record<string, unknown> {
    const { created: _created, updated: _updated, ...after } = this.after;
    if (after.type === 'view') delete (after as Partial<Collection>).fields;
    if (!this.before) return after;
    const { before } = this;
    return Object.fromEntries(Object.entries(after).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(before[key])));
  }

  /** Asks what stands against it, a moment after the last change; call it in an effect. */
  watch(): () => void {
    const { asked } = this;
    if (asked === '{}') {
      this.found = {};
      this.checked = null;
      return () => {};
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      api.check(this.before?.id ?? '', JSON.parse(asked), abort.signal).then(
        ({ collection, data }) => {
          this.found = failureOf(400, { data }).fields;
          this.checked = collection;
          this.problem = '';
        },
        (error: unknown) => {
          const { kind, message } = failure(error);
          if (kind !== 'aborted') this.problem = kind === 'offline' ? t('failure.offline') : message;
        },
      );
    }, CHECK_AFTER_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }

  /** The saved collection, or null where it was refused. */
  async save(): Promise<Collection | null> {
    this.isTried = true;
    this.busy = true;
    this.problem = '';
    try {
      // A list of fields takes the place of the whole list: what somebody else added since must not go with it.
      if (this.before && (await api.one(this.before.id)).updated !== this.before.updated) {
        this.problem = t('schema.overtaken');
        return null;
      }
      return await (this.before ? api.change(this.before.id, this.body()) : api.create(this.body()));
    } catch (error) {
      const { fields, kind, message } = failure(error);
      if (Object.keys(fields).length) this.found = fields;
      this.problem = kind === 'offline' ? t('failure.offline') : message;
      return null;
    } finally {
      this.busy = false;
    }
  }
}
