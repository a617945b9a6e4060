import type { Collection, Item } from '../../../api/types';
import { labelFields } from '../types';

/** What names a record to people. */
export function labelOf(record: Item, collection: Collection | undefined): string {
  const texts = labelFields(collection).map((name) => record[name]).filter((text) => text !== '' && text !== null && text !== undefined);
  return texts.map(String).join(' · ') || record.id;
}
