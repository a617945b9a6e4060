/** Where elements stand: tiers in columns from left to right, on one grid of rows, so that lines that pass over a column have
 * the room between two rows to themselves. */
import type { Link, Part } from '../../api/system';

export interface Placed {
  part: Part;
  x: number;
  y: number;
}

export interface Line {
  id: string;
  link: Link;
  d: string;
}

export interface Drawing {
  width: number;
  height: number;
  cardWidth: number;
  cardHeight: number;
  placed: Placed[];
  lines: Line[];
  /** Around the parts of one process. */
  frame: { x: number; y: number; width: number; height: number; part: Part } | null;
}

/** From where requests come in to where the data lies. */
export const TIERS: Part['kind'][][] = [['edge'], ['balancer'], ['serve', 'web'], ['cache', 'bus', 'queue'], ['worker'], ['primary'], ['replica'], ['files']];
const SHARED = 3;
const WORKERS = 4;
const WEB = 2;
const [GAP_MIN, GAP_MAX, CARD_MIN, CARD_MAX] = [34, 96, 132, 208];
const ROW_GAP = 22;
const PAD = 14;
/** More in one tier are drawn smaller. */
const TALL_MAX = 6;
export const [CARD_TALL, CARD_FLAT] = [98, 44];

/** Elements by tier, without the tiers that nobody stands in. */
export function tiers(parts: Part[]): { tier: number; parts: Part[] }[] {
  return TIERS.map((kinds, tier) => ({
    tier,
    parts: parts
      .filter((part) => kinds.includes(part.kind))
      .sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind) || a.name.localeCompare(b.name, 'en', { numeric: true })),
  })).filter(({ parts }) => parts.length > 0);
}

/** Replicas and files share the last column: the one lies above the other. */
function columns(parts: Part[]): { tier: number; parts: Part[] }[] {
  const all = tiers(parts);
  const files = all.find(({ tier }) => tier === TIERS.length - 1);
  const data = all.filter((one) => one !== files);
  const last = data.at(-1);
  if (!files || !last || last.tier < TIERS.length - 3) return all;
  return data.map((one) => (one === last ? { tier: one.tier, parts: [...one.parts, ...files.parts] } : one));
}

export function draw(parts: Part[], links: Link[], available: number): Drawing {
  const tall = columns(parts);
  const rowsMost = Math.max(1, ...tall.map((column) => column.parts.length));
  const cardHeight = rowsMost > TALL_MAX ? CARD_FLAT : CARD_TALL;
  const n = Math.max(tall.length, 1);
  const gap = Math.max(GAP_MIN, Math.min(GAP_MAX, (available - 2 * PAD - n * CARD_MAX) / Math.max(n - 1, 1)));
  const cardWidth = Math.max(CARD_MIN, Math.min(CARD_MAX, (available - 2 * PAD - (n - 1) * gap) / n));
  const used = n * cardWidth + (n - 1) * gap;
  const left = PAD + Math.max(0, (available - 2 * PAD - used) / 2);
  const hasData = tall.some(({ tier }) => tier > WORKERS);
  // The first row is left free over what stands between the nodes and their database.
  const offset = (tier: number) => ((tier === SHARED || tier === WORKERS) && hasData ? 1 : 0);
  const rows = Math.max(1, ...tall.map(({ tier, parts }) => parts.length + offset(tier)));
  const step = cardHeight + ROW_GAP;
  const placed: Placed[] = [];
  const at = new Map<string, { column: number; x: number; y: number }>();
  for (const [column, { tier, parts }] of tall.entries()) {
    const first = tier <= WEB ? Math.floor((rows - parts.length) / 2) : offset(tier);
    for (const [i, part] of parts.entries()) {
      const [x, y] = [left + column * (cardWidth + gap), PAD + ROW_GAP + (first + i) * step];
      placed.push({ part, x, y });
      at.set(part.id, { column, x, y });
    }
  }
  const occupied = (column: number, y: number) => [...at.values()].some((one) => one.column === column && one.y === y);
  const lines: Line[] = [];
  for (const link of links) {
    const [from, to] = [at.get(link.from), at.get(link.to)];
    if (!from || !to || from === to) continue;
    lines.push({ id: `${link.from} ${link.to} ${link.kind}`, link, d: curve(from, to, { cardWidth, cardHeight, gap }, occupied) });
  }
  const owner = parts.find((part) => parts.length > 1 && parts.every((one) => one.within === part.id || one === part));
  const height = 2 * PAD + ROW_GAP + rows * step - ROW_GAP;
  const width = Math.max(available, used + 2 * PAD);
  const frame = owner ? { x: left - PAD, y: PAD / 2, width: used + 2 * PAD, height: height - PAD / 2, part: owner } : null;
  return { width, height: height + (owner ? PAD : 0), cardWidth, cardHeight, placed, lines, frame };
}

type Point = { column: number; x: number; y: number };

function curve(
  a: Point,
  b: Point,
  { cardWidth, cardHeight, gap }: { cardWidth: number; cardHeight: number; gap: number },
  occupied: (column: number, y: number) => boolean,
): string {
  const middle = cardHeight / 2;
  if (a.column === b.column) {
    // Beside the column, as between a primary and what lies below it.
    const x = a.x + cardWidth;
    const out = x + gap * 0.5;
    return `M${x} ${a.y + middle}C${out} ${a.y + middle} ${out} ${b.y + middle} ${x} ${b.y + middle}`;
  }
  const forth = a.column < b.column;
  const [sx, ex] = forth ? [a.x + cardWidth, b.x] : [a.x, b.x + cardWidth];
  const [sy, ey] = [a.y + middle, b.y + middle];
  const way = forth ? 1 : -1;
  const half = (gap / 2) * way;
  if (Math.abs(a.column - b.column) === 1) return `M${sx} ${sy}C${sx + half} ${sy} ${ex - half} ${ey} ${ex} ${ey}`;
  const between = Array.from({ length: Math.abs(b.column - a.column) - 1 }, (_, i) => a.column + (i + 1) * way);
  const isFree = !between.some((column) => occupied(column, b.y));
  const [near, far] = [sx + gap * way, ex - gap * way];
  if (isFree) return `M${sx} ${sy}C${sx + half} ${sy} ${near - half} ${ey} ${near} ${ey}L${ex} ${ey}`;
  // Along the room above the target's row.
  const over = b.y - ROW_GAP / 2;
  return `M${sx} ${sy}C${sx + half} ${sy} ${near - half} ${over} ${near} ${over}L${far} ${over}C${far + half} ${over} ${ex - half} ${ey} ${ex} ${ey}`;
}
