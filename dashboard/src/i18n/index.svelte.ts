/** Texts by key. English is in the first chunk, other languages come when they are chosen. */
import { en } from './en';

export type Key = keyof typeof en;
export type Texts = Record<Key, string>;
export type Language = 'en' | 'ko';

export const LANGUAGES: Record<Language, string> = { en: 'English', ko: '한국어' };
const LOADERS: Record<Language, () => Promise<Texts>> = {
  en: async () => en,
  ko: async () => (await import('./ko')).ko,
};
const KEY = 'pando.language';

function initial(): Language {
  const stored = localStorage.getItem(KEY) ?? navigator.language.slice(0, 2);
  return stored in LANGUAGES ? (stored as Language) : 'en';
}

class I18n {
  language = $state<Language>('en');
  texts = $state.raw<Texts>(en);
  ready: Promise<void>;

  constructor() {
    this.ready = this.show(initial()).catch(() => {});
  }

  async choose(language: Language): Promise<void> {
    localStorage.setItem(KEY, language);
    await this.show(language);
  }

  private async show(language: Language): Promise<void> {
    this.texts = await LOADERS[language]();
    this.language = language;
    document.documentElement.lang = language;
  }
}

export const i18n = new I18n();

/**
 * The text in the language chosen. `{name}` stands for a value; `{n|record|records}` for the word that goes with the number n.
 */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return i18n.texts[key].replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name: string, one?: string, many?: string) => {
    const value = values[name] ?? '';
    if (one !== undefined && many !== undefined) return value === 1 ? one : many;
    return typeof value === 'number' ? number(value) : value;
  });
}

/** Making one costs more than using it a hundred times. */
const formats = new Map<string, Intl.NumberFormat>();

export function number(value: number, options: Intl.NumberFormatOptions = {}): string {
  const key = `${i18n.language} ${JSON.stringify(options)}`;
  let format = formats.get(key);
  if (!format) formats.set(key, (format = new Intl.NumberFormat(i18n.language, options)));
  return format.format(value);
}

/** A time of the API (UTC, with a space) in the reader's own zone. */
export function dateTime(text: string, options?: Intl.DateTimeFormatOptions): string {
  const date = new Date(text.replace(' ', 'T'));
  if (Number.isNaN(date.getTime())) return text;
  return new Intl.DateTimeFormat(i18n.language, options ?? { dateStyle: 'medium', timeStyle: 'medium' }).format(date);
}

/** The same for columns: as long for every time, and in the order of times. */
export function timestamp(text: string): string {
  const date = new Date(text.replace(' ', 'T'));
  if (Number.isNaN(date.getTime())) return text;
  const two = (part: number): string => String(part).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

export function bytes(size: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  let at = 0;
  let value = size;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at++;
  }
  const unit = units[at] ?? 'byte';
  return number(value, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: value < 10 && at > 0 ? 1 : 0 });
}

/** How long ago a time of the API is, in the largest unit that fits. */
export function ago(text: string, now: number): string {
  const passed = Math.max(0, (now - Date.parse(text.replace(' ', 'T'))) / 1000);
  const [by, unit] = passed < 60 ? [1, 'second'] : passed < 3600 ? [60, 'minute'] : passed < 86_400 ? [3600, 'hour'] : [86_400, 'day'];
  const format = new Intl.RelativeTimeFormat(i18n.language, { numeric: 'auto', style: 'narrow' });
  return format.format(-Math.floor(passed / Number(by)), unit as 'second' | 'minute' | 'hour' | 'day');
}
