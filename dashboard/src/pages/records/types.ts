/** What the grid and the drawer know of each field type. */
import type { Collection, Field, FieldType } from '../../api/types';
import type { IconName } from '../../ui/icons';

export const ICONS: Record<FieldType, IconName> = {
  text: 'text',
  editor: 'edit',
  number: 'hash',
  bool: 'toggle',
  email: 'mail',
  url: 'link',
  date: 'calendar',
  autodate: 'clock',
  select: 'list',
  json: 'json',
  file: 'image',
  relation: 'relation',
  password: 'lock',
  geoPoint: 'pin',
};

const WIDTHS: Partial<Record<FieldType, number>> = {
  bool: 90,
  number: 110,
  date: 170,
  autodate: 170,
  file: 130,
  email: 210,
  url: 210,
  editor: 260,
  json: 220,
};

export const icon = (field: Field): IconName => (field.name === 'id' ? 'key' : ICONS[field.type]) ?? 'text';
export const width = (field: Field): number => WIDTHS[field.type] ?? 170;

/** Fields that a superuser is shown values of. */
export const shown = (collection: Collection): Field[] => collection.fields.filter((field) => field.type !== 'password' && field.name !== 'tokenKey');

const SORTABLE: FieldType[] = ['text', 'editor', 'number', 'bool', 'email', 'url', 'date', 'autodate', 'select', 'relation'];
export const isSortable = (field: Field): boolean => SORTABLE.includes(field.type);

export const isMultiple = (field: Field): boolean => Number(field.maxSelect ?? 1) > 1;

/** Fields whose value one line of text can hold. */
const INLINE: FieldType[] = ['text', 'number', 'bool', 'email', 'url', 'date', 'select'];
export const isInline = (field: Field): boolean =>
  INLINE.includes(field.type) && !field.autogeneratePattern && field.name !== 'id' && !(field.type === 'select' && isMultiple(field));

/** What names a record to people: its presentable fields, or the first that usually names things. */
export function labelFields(collection: Collection | undefined): string[] {
  const fields = collection?.fields ?? [];
  const presentable = fields.filter((field) => field.presentable).map((field) => field.name);
  if (presentable.length) return presentable;
  const usual = ['title', 'name', 'label', 'email', 'username', 'slug', 'subject', 'key', 'code'];
  const found = usual.find((name) => fields.some((field) => field.name === name && !field.hidden));
  return found ? [found] : [];
}
