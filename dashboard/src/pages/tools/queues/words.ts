/** Figures of streams in the units that people use, and back. */
import { seconds } from '../../system/figures';

export const DAY_MS = 86_400_000;
export const MEBIBYTE = 2 ** 20;

/** As it stands in a field: no more digits than it has. */
export const inUnits = (value: number, unit: number): string => String(Number((value / unit).toPrecision(12)));
/** Back again; what is no number the server is to judge. */
export const ofUnits = (text: string, unit: number): number => Math.round(Number(text.replace(',', '.').trim()) * unit);

export const span = (ms: number): string => seconds(ms / 1000);

/** One line of a value. */
export function summary(data: unknown): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return (text ?? '').slice(0, 240);
}
