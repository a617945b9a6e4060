/** The filter language as far as a person typing it needs it: words become a search, and names are completed. */
import type { Collection, Field } from '../../api/types';
import type { Option, Options } from '../../ui/completion.svelte';

const SEARCHED = ['text', 'editor', 'email', 'url', 'select', 'number', 'json', 'file', 'relation', 'date', 'autodate'];
const OPERATOR = /(\?|&&|\|\||[=~<>]|!=|!~)/;
const MACROS = ['@now', '@todayStart', '@todayEnd', '@yesterday', '@tomorrow', '@monthStart', '@monthEnd', '@yearStart', '@yearEnd'];
const COMPLETIONS_MAX = 12;

/** A filter as it is, or words as a search in all fields that hold text. */
export function filterOf(text: string, collection: Collection): string {
  const words = text.trim();
  if (!words || OPERATOR.test(words)) return words;
  const quoted = JSON.stringify(words);
  const fields = collection.fields.filter((field) => SEARCHED.includes(field.type) && field.name !== 'tokenKey');
  return fields.map((field) => `${field.name}~${quoted}`).join('||');
}

/** Where the word before the cursor begins, and what it could become. Nothing inside quotes. */
export function complete(
  text: string,
  cursor: number,
  collection: Collection,
  find: (id: string) => Collection | undefined,
): Options {
  const before = text.slice(0, cursor);
  const quotes = before.replace(/\\./g, '').match(/["']/g)?.length ?? 0;
  const word = /[@\w.]*$/.exec(before)?.[0] ?? '';
  const from = cursor - word.length;
  if (quotes % 2 || !word) return { from, options: [] };
  const dot = word.lastIndexOf('.');
  const prefix = word.slice(0, dot + 1);
  let fields: Field[] | undefined = collection.fields;
  for (const step of prefix.split('.').filter(Boolean)) {
    const field: Field | undefined = fields?.find((one) => one.name === step);
    fields = field?.type === 'relation' ? find(String(field.collectionId))?.fields : undefined;
  }
  const options: Option[] = (fields ?? [])
    .filter((field) => field.type !== 'password' && field.name !== 'tokenKey')
    .map((field) => ({ text: prefix + field.name, hint: field.type }));
  if (!prefix) options.push(...MACROS.map((macro) => ({ text: macro, hint: 'time' })));
  const lower = word.toLowerCase();
  const fits = options.filter((one) => one.text.toLowerCase().startsWith(lower) && one.text !== word);
  return { from, options: fits.slice(0, COMPLETIONS_MAX) };
}
