/** Shapes of the API that several pages share. */
export interface Page<T> {
  page: number;
  perPage: number;
  totalItems: number;
  totalPages: number;
  items: T[];
}

export type Values = Record<string, unknown>;

export interface Item extends Values {
  id: string;
  collectionId: string;
  collectionName: string;
  expand?: Record<string, Item | Item[]>;
}

export type FieldType =
  | 'text'
  | 'editor'
  | 'number'
  | 'bool'
  | 'email'
  | 'url'
  | 'date'
  | 'autodate'
  | 'select'
  | 'json'
  | 'file'
  | 'relation'
  | 'password'
  | 'geoPoint';

/** A field with the options of its type. */
export interface Field {
  id: string;
  name: string;
  type: FieldType;
  system: boolean;
  hidden: boolean;
  presentable: boolean;
  required?: boolean;
  help?: string;
  [option: string]: unknown;
}

export type CollectionType = 'base' | 'auth' | 'view';

export interface Collection {
  id: string;
  name: string;
  type: CollectionType;
  system: boolean;
  fields: Field[];
  indexes: string[];
  listRule: string | null;
  viewRule: string | null;
  createRule: string | null;
  updateRule: string | null;
  deleteRule: string | null;
  [option: string]: unknown;
}
