/** Which columns of a collection are shown, and how wide; remembered in this browser. */
import type { Collection, Field } from '../../api/types';
import type { GridColumn } from '../../ui/Grid.svelte';
import { icon, isSortable, shown, width } from './types';

const FIRST_SHOWN_MAX = 12;

interface Kept {
  hidden: string[];
  widths: Record<string, number>;
}

export class Columns {
  private kept = $state<Kept>({ hidden: [], widths: {} });
  private key: string;
  readonly fields: Field[];

  constructor(collection: Collection) {
    this.key = `pando.columns.${collection.id}`;
    this.fields = shown(collection);
    this.kept.hidden = this.fields.slice(FIRST_SHOWN_MAX).map((field) => field.id);
    try {
      const kept = JSON.parse(localStorage.getItem(this.key) ?? 'null') as Kept | null;
      if (kept && Array.isArray(kept.hidden) && typeof kept.widths === 'object') this.kept = kept;
    } catch {
      // What cannot be read is chosen anew.
    }
  }

  isShown(field: Field): boolean {
    return !this.kept.hidden.includes(field.id);
  }

  get shown(): Field[] {
    const found = this.fields.filter((field) => this.isShown(field));
    return found.length ? found : this.fields.slice(0, 1);
  }

  get grid(): GridColumn[] {
    return this.shown.map((field) => ({
      id: field.name,
      label: field.name,
      icon: icon(field),
      width: this.kept.widths[field.id] ?? width(field),
      sortable: isSortable(field),
      ...(field.type === 'number' && { align: 'end' as const }),
    }));
  }

  toggle(field: Field): void {
    const hidden = this.kept.hidden.filter((id) => id !== field.id);
    if (hidden.length === this.kept.hidden.length) hidden.push(field.id);
    this.keep({ ...this.kept, hidden });
  }

  resize(name: string, to: number): void {
    const field = this.fields.find((one) => one.name === name);
    if (field) this.keep({ ...this.kept, widths: { ...this.kept.widths, [field.id]: Math.round(to) } });
  }

  private keep(kept: Kept): void {
    this.kept = kept;
    localStorage.setItem(this.key, JSON.stringify(kept));
  }
}
