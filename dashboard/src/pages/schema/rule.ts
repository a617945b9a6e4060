/** The language of rules, as far as a person writing one needs it: its parts in colours, and what could come next. */
import type { Collection, Field } from '../../api/types';
import type { Piece } from '../../ui/CodeInput.svelte';
import type { Option, Options } from '../../ui/completion.svelte';

const MACROS = ['@now', '@todayStart', '@todayEnd', '@yesterday', '@tomorrow', '@monthStart', '@monthEnd', '@yearStart', '@yearEnd', '@second', '@minute', '@hour', '@day', '@weekday', '@month', '@year'];
const FUNCTIONS = [
  { text: 'geoDistance(', hint: 'lonA, latA, lonB, latB → km' },
  { text: 'strftime(', hint: '"%Y-%m-%d", time' },
];
const METHODS = ['GET', 'POST', 'PATCH', 'DELETE'];
const CONTEXTS = ['default', 'oauth2', 'otp', 'password', 'passkey', 'realtime', 'protectedFile', 'expand'];
const LISTS = ['select', 'file', 'relation'];
const COMPLETIONS_MAX = 40;
const TOKEN = /(\/\/[^\n]*)|("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)|(@[\w.:]+)|(-?\d+(?:\.\d+)?\b)|(true|false|null)\b|([A-Za-z_#][\w.:]*)|([=!<>~?&|()]+)|(\s+|.)/g;

export function highlight(text: string): Piece[] {
  return [...text.matchAll(TOKEN)].map(([whole, comment, quoted, special, number, word, name, sign]) => ({
    text: whole,
    kind: comment ? 'comment' : quoted ? 'text' : special || word ? 'keyword' : number ? 'number' : name ? 'name' : sign ? 'sign' : undefined,
  }));
}

/** A field's new name wherever a rule speaks of it as one of its own. */
export function renamed(rule: string, from: string, to: string): string {
  const own = (path: string): string => {
    const [first = '', ...rest] = path.split(/(?=[.:])/);
    return first === from ? to + rest.join('') : path;
  };
  return highlight(rule)
    .map(({ text, kind }) => {
      if (kind === 'name') return own(text);
      const body = '@request.body.';
      return kind === 'keyword' && text.startsWith(body) ? body + own(text.slice(body.length)) : text;
    })
    .join('');
}

export interface Surroundings {
  collection: Pick<Collection, 'id' | 'name' | 'fields'>;
  all: Collection[];
}

const named = (prefix: string, field: Field): Option => ({ text: prefix + field.name, hint: field.type });

/** The collections that a path of names leads to from others; several where they are alternatives. */
function follow(from: Pick<Collection, 'id' | 'fields'>[], steps: string[], all: Collection[]): Pick<Collection, 'id' | 'fields'>[] {
  let now = from;
  for (const step of steps) {
    now = now.flatMap(({ id, fields }) => {
      const back = /^(\w+)_via_(\w+)$/.exec(step);
      const own = fields.find((field) => field.name === step);
      if (own?.type === 'relation') return all.filter((one) => one.id === own.collectionId).map((one) => (one.id === id ? { id, fields } : one));
      return back ? all.filter((one) => one.name === back[1] && one.fields.some((field) => field.name === back[2] && field.collectionId === id)) : [];
    });
  }
  return now;
}

/** Fields of the collections, and the way back from those that refer to them. */
function members(prefix: string, of: Pick<Collection, 'id' | 'fields'>[], all: Collection[]): Option[] {
  const own = of.flatMap(({ fields }) => fields.filter((field) => field.type !== 'password' && field.name !== 'tokenKey').map((field) => named(prefix, field)));
  const back = of.flatMap(({ id }) =>
    all.flatMap((one) => one.fields.filter((field) => field.type === 'relation' && field.collectionId === id).map((field) => ({ text: `${prefix}${one.name}_via_${field.name}`, hint: `← ${one.name}` }))),
  );
  return [...own, ...back];
}

function modifiers(word: string, of: Pick<Collection, 'fields'>[], isBody: boolean): Option[] {
  const colon = word.indexOf(':');
  const name = word.slice(word.lastIndexOf('.', colon) + 1, colon);
  const field = of.flatMap(({ fields }) => fields).find((one) => one.name === name);
  const fits = [...(isBody ? ['isset', 'changed'] : []), ...(field && LISTS.includes(field.type) ? ['each', 'length'] : []), 'lower'];
  return fits.map((one) => ({ text: word.slice(0, colon + 1) + one, hint: field?.type ?? '' }));
}

/** Within quotes: the values that what stands before them can have. */
function values(before: string, open: number, { collection, all }: Surroundings): string[] {
  const path = /([@\w.:]+)\s*\??[=!~<>]+\s*$/.exec(before.slice(0, open))?.[1] ?? '';
  if (path === '@request.method') return METHODS;
  if (path === '@request.context') return CONTEXTS;
  const steps = path.replace(/^@request\.body\./, '').split('.');
  const last = steps.pop()?.split(':')[0];
  const field = follow([collection], steps, all).flatMap(({ fields }) => fields).find((one) => one.name === last);
  return field?.type === 'select' ? ((field.values as string[] | undefined) ?? []) : [];
}

export function complete(text: string, cursor: number, around: Surroundings): Options {
  const before = text.slice(0, cursor);
  const last = highlight(before).at(-1);
  const quoted = last?.kind === 'text' && !/^(["']).*\1$/s.test(last.text) ? last.text : null;
  if (last?.kind === 'comment') return { from: cursor, options: [] };
  if (quoted !== null) {
    const [from, mark, typed] = [cursor - quoted.length, quoted[0] ?? '"', quoted.slice(1)];
    const found = values(before, from, around).filter((one) => one.toLowerCase().startsWith(typed.toLowerCase()));
    return { from, options: found.map((one) => ({ text: mark + one + mark, hint: '' })) };
  }
  const word = /[@\w.:]*$/.exec(before)?.[0] ?? '';
  const from = cursor - word.length;
  const lower = word.toLowerCase();
  const fits = options(word, around).filter((one) => one.text.toLowerCase().startsWith(lower) && one.text !== word);
  const unique = [...new Map(fits.map((one) => [one.text, one])).values()];
  return { from, options: unique.slice(0, COMPLETIONS_MAX) };
}

function options(word: string, { collection, all }: Surroundings): Option[] {
  const current = all.some((one) => one.id === collection.id) ? all.map((one) => (one.id === collection.id ? { ...one, fields: collection.fields } : one)) : all;
  const at = (start: string, from: Pick<Collection, 'id' | 'fields'>[], isBody = false): Option[] => {
    const rest = word.slice(start.length);
    const dot = rest.lastIndexOf('.');
    const owners = follow(from, rest.slice(0, dot + 1).split('.').filter(Boolean), current);
    return rest.includes(':') ? modifiers(word, owners, isBody) : members(word.slice(0, start.length + dot + 1), owners, current);
  };
  const [, target, alias] = /^@collection\.(\w+)(:\w+)?\./.exec(word) ?? [];
  if (target) {
    const start = `@collection.${target}${alias ?? ''}.`;
    return at(start, current.filter((one) => one.name === target || one.id === target));
  }
  if (word.startsWith('@collection.')) return current.map((one) => ({ text: `@collection.${one.name}.`, hint: one.type }));
  if (word.startsWith('@request.auth.')) {
    const start = '@request.auth.';
    const own = ['collectionId', 'collectionName'].map((one) => ({ text: start + one, hint: 'text' }));
    return [...at(start, current.filter((one) => one.type === 'auth')), ...own];
  }
  if (word.startsWith('@request.body.')) return at('@request.body.', [collection], true);
  if (word.startsWith('@request.')) return ['auth.', 'body.', 'query.', 'headers.', 'method', 'context'].map((one) => ({ text: `@request.${one}`, hint: '' }));
  const macros = MACROS.map((text) => ({ text, hint: '' }));
  const roots = [{ text: '@request.', hint: '' }, { text: '@collection.', hint: '' }];
  if (word.startsWith('@')) return [...roots, ...macros];
  return [...at('', [collection]), ...(word.includes('.') ? [] : [...roots, ...FUNCTIONS])];
}

/** Paths that mean nothing and that the server takes for missing values without a word: most likely mistyped. */
export function doubtful(rule: string, { collection, all }: Surroundings): string[] {
  const accounts = all.filter((one) => one.type === 'auth').map((one) => (one.id === collection.id ? { ...one, fields: collection.fields } : one));
  const known = (fields: Field[], name: string, extra: string[]): boolean => extra.includes(name) || fields.some((field) => field.name === name);
  return highlight(rule)
    .map(({ text, kind }) => (kind === 'keyword' ? /^@request\.(auth|body)\.(\w+)/.exec(text) : null))
    .filter((found) => found !== null)
    .filter(([, part, name = '']) =>
      part === 'auth'
        ? !/_via_/.test(name) && !known(accounts.flatMap(({ fields }) => fields), name, ['collectionId', 'collectionName'])
        : !known(collection.fields, name, ['password', 'passwordConfirm', 'oldPassword', 'provider', 'createData']),
    )
    .map(([path]) => path);
}
